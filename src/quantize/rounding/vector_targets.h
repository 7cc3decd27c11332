// Included before Highway's headers by the files that use its vectors.
#pragma once

// The code keeps vectors in arrays and structs, which sizeless vectors can't be.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
