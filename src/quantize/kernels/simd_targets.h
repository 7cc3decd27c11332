// Which instruction sets the quantiser's vector code is compiled for: on x86-64 portable code, AVX2
// and AVX-512; those in between would only add to the program's size. Vectors of a length known
// only at run time can't be members of a struct, so 64-bit Arm has NEON. To be included before
// Highway.
#pragma once

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE_256 | HWY_SVE2 | HWY_SVE2_128 | HWY_RVV)
#endif
