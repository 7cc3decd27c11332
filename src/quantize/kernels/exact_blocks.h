// One block as ggml_quantize_chunk makes it, as numbers.
#pragma once

#include "quantize/blocks/block_format.h"

namespace trimma::exact {

struct BlockSource {
  const float* x;           // [format.block]
  const float* importance;  // [format.block], or nullptr
  float row_mean_square;    // sum of x^2 over the row, in order, by its length
};

void QuantizeBlock(const BlockFormat& format, const BlockSource& from, Block& block);

// The parts of it: types of 32 weights, of 256 with mins, and of 256 without.
void QuantizeSmall(const BlockFormat& format, const BlockSource& from, Block& block);
void QuantizeSuperAffine(const BlockFormat& format, const BlockSource& from, Block& block);
void QuantizeSuperSymmetric(const BlockFormat& format, const BlockSource& from, Block& block);

// q sqrt(mean_square + x^2).
void WeighByMagnitude(const float* x, const float* importance, size_t n, float mean_square,
                      float* weights);
float SumOfSquares(const float* x, size_t n);

}  // namespace trimma::exact
