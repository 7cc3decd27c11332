// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and IQ4_NL.
#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/kernels/exact_blocks.h"
#include "quantize/kernels/exact_search.h"

namespace trimma::exact {
namespace {

using namespace tensor_type;

float InverseOrZero(float scale) { return scale != 0 ? 1 / scale : 0; }

// Towards zero. ggml leaves undefined what a code is that no code's type holds: 0 here.
uint8_t CodeOf(float value, int top) {
  if (!(std::fabs(value) < 128)) return 0;
  return static_cast<uint8_t>(std::clamp(static_cast<int>(value), 0, top));
}

// quantize_row_q4_0_ref, quantize_row_q5_0_ref: the largest value is the lowest level.
void RoundSymmetric(const BlockFormat& format, const float* x, Block& block) {
  float extreme = 0;
  for (size_t i = 0; i < format.block; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  block.scale = extreme / static_cast<float>(format.offset);
  const float inverse = InverseOrZero(block.scale);
  const float shift = static_cast<float>(-format.offset) + 0.5F;
  for (size_t i = 0; i < format.block; ++i)
    block.codes[i] = CodeOf(x[i] * inverse + shift, format.levels - 1);
}

// quantize_row_q4_1_ref, quantize_row_q5_1_ref: from the least value to the largest.
void RoundAffine(const BlockFormat& format, const float* x, Block& block) {
  float least = std::numeric_limits<float>::max();
  float most = -least;
  for (size_t i = 0; i < format.block; ++i) {
    least = std::min(least, x[i]);
    most = std::max(most, x[i]);
  }
  block.scale = (most - least) / static_cast<float>(format.levels - 1);
  block.min_scale = -least;
  const float inverse = InverseOrZero(block.scale);
  for (size_t i = 0; i < format.block; ++i)
    block.codes[i] = CodeOf((x[i] - least) * inverse + 0.5F, format.levels - 1);
}

// quantize_row_q8_0_ref
void RoundQ8_0(const float* x, Block& block) {
  float largest = 0;
  for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  block.scale = largest / 127;
  const float inverse = InverseOrZero(block.scale);
  for (size_t i = 0; i < 32; ++i) {
    const float level = std::round(x[i] * inverse);
    block.codes[i] =
        static_cast<uint8_t>(std::fabs(level) < 128 ? static_cast<int>(level) + 128 : 128);
  }
}

// quantize_row_iq4_nl_impl for one group
void QuantizeIq4Nl(const BlockFormat& format, const BlockSource& from, Block& block) {
  float weights[32];
  if (from.importance != nullptr) {
    const float mean_square = SumOfSquares(from.x, 32) * (2.0F / 32);
    WeighByMagnitude(from.x, from.importance, 32, mean_square, weights);
  } else {
    for (size_t i = 0; i < 32; ++i) weights[i] = from.x[i] * from.x[i];
  }
  block.scale = FitTable({from.x, weights, 32}, format.table);
  const float inverse = InverseOrZero(block.scale);
  for (size_t i = 0; i < 32; ++i) block.codes[i] = NearestLevel(format.table, inverse * from.x[i]);
}

}  // namespace

void QuantizeSmall(const BlockFormat& format, const BlockSource& from, Block& block) {
  std::fill_n(block.scales, kMaxGroups, int8_t{1});
  std::fill_n(block.mins, kMaxGroups, uint8_t{format.has_mins()});
  if (format.type == kQ8_0) return RoundQ8_0(from.x, block);
  if (format.type == kIQ4_NL) return QuantizeIq4Nl(format, from, block);
  if (from.importance == nullptr)
    return format.has_mins() ? RoundAffine(format, from.x, block)
                             : RoundSymmetric(format, from.x, block);
  float weights[32];
  WeighByMagnitude(from.x, from.importance, 32, from.row_mean_square, weights);
  const Group group{from.x, weights, 32};
  if (!format.has_mins()) {
    block.scale = FitSymmetric(group, -format.offset, block.codes);
    return;
  }
  const Affine fit = FitAffine(group, {format.levels - 1, -0.9F, 0.05F, 36, false}, block.codes);
  block.scale = fit.scale;
  block.min_scale = fit.min;
}

}  // namespace trimma::exact
