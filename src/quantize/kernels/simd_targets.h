// Which instruction sets the kernels are compiled for: on x86-64 portable code, AVX2 and AVX-512.
// Those in between would only add to the program's size. To be included before Highway.
#pragma once

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
