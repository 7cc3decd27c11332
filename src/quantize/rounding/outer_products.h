// The matrix product that everything here is made of, at about a processor's float peak.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trimma {

// C[i, j] += factor * sum over t of A[t, i] * B[t, j]. All row-major; strides in floats.
struct OuterProducts {
  const float* a = nullptr;  // [k, m]
  size_t a_stride = 0;
  const float* b = nullptr;  // [k, n]
  size_t b_stride = 0;
  float* c = nullptr;  // [m, n]
  size_t c_stride = 0;
  uint64_t m = 0, n = 0, k = 0;
  float factor = 1;
};

// The order of additions depends on k alone: an element of C comes out the same in any tile.
void AddOuterProducts(const OuterProducts& product);

}  // namespace trimma
