#include "quantize/kernels/exact_blocks.h"

#include <cmath>

#include "base/result.h"
#include "quantize/kernels/quantize_rows.h"

namespace trimma {
namespace exact {

float SumOfSquares(const float* x, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

void WeighByMagnitude(const float* x, const float* importance, size_t n, float mean_square,
                      float* weights) {
  for (size_t i = 0; i < n; ++i) weights[i] = importance[i] * std::sqrt(mean_square + x[i] * x[i]);
}

void QuantizeBlock(const BlockFormat& format, const BlockSource& from, Block& block) {
  block = Block{};
  if (format.block == 32) return QuantizeSmall(format, from, block);
  if (format.has_mins()) return QuantizeSuperAffine(format, from, block);
  QuantizeSuperSymmetric(format, from, block);
}

}  // namespace exact

void QuantizeRowsExact(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                       const float* importance, void* to) {
  const BlockFormat* format = FindBlockFormat(type);
  CHECK(format != nullptr && row_length % format->block == 0);
  auto* bytes = static_cast<uint8_t*>(to);
  Block block;
  for (uint64_t r = 0; r < rows; ++r, from += row_length) {
    const float mean_square =
        exact::SumOfSquares(from, row_length) / static_cast<float>(row_length);
    for (uint64_t i = 0; i < row_length; i += format->block, bytes += format->bytes) {
      const float* weights = importance == nullptr ? nullptr : importance + i;
      exact::QuantizeBlock(*format, {from + i, weights, mean_square}, block);
      PackBlock(*format, block, bytes);
    }
  }
}

}  // namespace trimma
