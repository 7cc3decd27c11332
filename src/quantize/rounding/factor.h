// H = M M^T with M upper triangular: the factor that error feedback needs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace trimma {

// A square matrix in place.
struct SquareMatrix {
  float* data = nullptr;  // [n, n], row-major
  uint64_t n = 0;
  size_t stride = 0;  // floats from row to row
};

// Replaces the symmetric H (its lower triangle is read) by M, zeros below. M is the inverse of the
// upper Cholesky factor of inv(H) that GPTQ uses, without the inversions. False where a pivot is
// not positive: H is not positive definite in floats, and the contents are lost. Deterministic for
// any number of threads. Errors: an interrupt.
Result<bool> FactorFromTheEnd(SquareMatrix h, int threads);

// The inverse of an upper triangular m into `to` [m.n, m.n], zeros below.
void InvertUpper(const SquareMatrix& m, SquareMatrix to);

}  // namespace trimma
