// The second moment of a matrix's input: H = sum over tokens of x x^T.
//
// What a change of the weights W [rows, n] does to the output is tr(R H R^T), R the change: all
// that better rounding knows of the model. The diagonal is what llama.cpp's imatrix sums up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace trimma {

// Float sums: with 10^6 tokens good to about 1e-5, far below the damping (compensation.h).
// Memory: n * block * 4 bytes.
class SecondMoment {
 public:
  // Only products of inputs in the same block of `block` consecutive ones are kept; n, the default,
  // keeps all. n must be a multiple of `block`.
  explicit SecondMoment(uint64_t n, uint64_t block = 0);

  uint64_t n() const { return n_; }
  uint64_t block() const { return block_; }
  uint64_t blocks() const { return n_ / block_; }
  uint64_t tokens() const { return tokens_; }

  // Adds `tokens` rows of x [tokens, n]. Batches of 256 or more are efficient. The sums depend on
  // how tokens are cut into batches, not on the number of threads. Errors: an interrupt.
  Status Add(const float* x, uint64_t tokens, int threads);

  // Square matrix i on the diagonal, [block, block], symmetric, rows `stride` floats apart.
  const float* Matrix(uint64_t i) const { return sums_.data() + i * block_ * stride_; }
  float* MutableMatrix(uint64_t i) { return sums_.data() + i * block_ * stride_; }
  size_t stride() const { return stride_; }

  std::vector<float> Diagonal() const;  // [n]

 private:
  uint64_t n_;
  uint64_t block_;
  size_t stride_;
  uint64_t tokens_ = 0;
  std::vector<float> sums_;
};

}  // namespace trimma
