// Q2_K to Q6_K and IQ4_XS.
#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "base/result.h"
#include "quantize/kernels/exact_blocks.h"
#include "quantize/kernels/exact_search.h"

namespace trimma::exact {
namespace {

using namespace tensor_type;

constexpr size_t kBlock = 256;

float Sum(const float* values, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += values[i];
  return sum;
}

// The codes once more, with the scales as the block holds them. Where a group's scale is 0 the
// search's codes stay.
void RoundAgain(const BlockFormat& format, const float* x, Block& block) {
  const float scale = RoundToHalf(block.scale);
  const float min_scale = format.has_mins() ? RoundToHalf(block.min_scale) : 0;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const float step = scale * static_cast<float>(block.scales[g]);
    if (step == 0) continue;
    const float min = min_scale * static_cast<float>(block.mins[g]);
    for (uint32_t i = g * format.group; i < (g + 1) * format.group; ++i) {
      const int level = Nearest((format.has_mins() ? x[i] + min : x[i]) / step);
      const int low = format.offset;
      block.codes[i] = static_cast<uint8_t>(std::clamp(level, low, low + format.levels - 1) - low);
    }
  }
}

// Multiples of largest / top, the integers beside it.
template <typename Integer>
float RoundMultiples(const float* values, uint32_t n, int top, Integer* integers) {
  float most = 0;
  for (uint32_t g = 0; g < n; ++g) most = std::max(most, values[g]);
  const float inverse = most > 0 ? static_cast<float>(top) / most : 0;
  for (uint32_t g = 0; g < n; ++g)
    integers[g] = static_cast<Integer>(
        std::min<int>(top, static_cast<uint8_t>(Nearest(inverse * values[g]))));
  return most > 0 ? most / static_cast<float>(top) : 0;
}

// Without importance: larger values count more, by how much differs from type to type.
AffineSearch WeighReference(TensorType type, const Group& group, float* weights) {
  const float mean_square = SumOfSquares(group.x, group.count) / 32;
  const float root = type == kQ2_K ? 0 : std::sqrt(mean_square);
  for (size_t i = 0; i < group.count; ++i) weights[i] = root + std::fabs(group.x[i]);
  if (type == kQ2_K) return {3, -0.5F, 0.1F, 15, true};
  if (type == kQ4_K) return {15, -1.0F, 0.1F, 20, false};
  return {31, -0.5F, 0.1F, 15, false};
}

// The integers that the groups' scales are multiples by, the largest being `low`.
float RoundSignedMultiples(const float* scales, uint32_t n, int low, int8_t* integers) {
  const float extreme = Extreme(scales, n);
  if (extreme == 0) {
    std::fill_n(integers, n, static_cast<int8_t>(low));
    return 0;
  }
  const float inverse = static_cast<float>(low) / extreme;
  for (uint32_t g = 0; g < n; ++g)
    integers[g] = static_cast<int8_t>(
        std::clamp<int>(static_cast<int8_t>(Nearest(inverse * scales[g])), low, -low - 1));
  return 1 / inverse;
}

// quantize_row_q3_K_ref and _impl
void QuantizeQ3(const BlockFormat& format, const BlockSource& from, Block& block) {
  float scales[kMaxGroups], sums[kMaxGroups];
  const float mean_square = 2 * SumOfSquares(from.x, kBlock) / kBlock;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const float* x = from.x + g * format.group;
    uint8_t* codes = block.codes + g * format.group;
    if (from.importance == nullptr) {
      scales[g] = FitSymmetricStepwise({x, nullptr, format.group}, 4, codes);
      continue;
    }
    float weights[16];
    WeighByMagnitude(x, from.importance + g * format.group, format.group, mean_square, weights);
    sums[g] = Sum(weights, format.group);
    scales[g] = FitSymmetric({x, weights, format.group}, 4, codes);
  }
  if (from.importance == nullptr) {
    block.scale = RoundSignedMultiples(scales, format.groups(), format.scale_low, block.scales);
  } else {
    uint8_t integers[kMaxGroups];
    block.scale = FitSymmetric({scales, sums, format.groups()}, -format.scale_low, integers);
    for (uint32_t g = 0; g < format.groups(); ++g)
      block.scales[g] = static_cast<int8_t>(integers[g] + format.scale_low);
  }
  RoundAgain(format, from.x, block);
}

// quantize_row_q6_K_ref and _impl
void QuantizeQ6(const BlockFormat& format, const BlockSource& from, Block& block) {
  float scales[kMaxGroups];
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const uint32_t at = g * format.group;
    const float* weights = from.importance == nullptr ? nullptr : from.importance + at;
    scales[g] = FitSymmetric({from.x + at, weights, format.group}, 32, block.codes + at);
  }
  const float extreme = Extreme(scales, format.groups());
  if (std::fabs(extreme) < kLeastMagnitude) {
    block = Block{};
    return;
  }
  const float inverse = -128.0F / extreme;
  block.scale = 1 / inverse;
  for (uint32_t g = 0; g < format.groups(); ++g)
    block.scales[g] = static_cast<int8_t>(std::min(127, Nearest(inverse * scales[g])));
  RoundAgain(format, from.x, block);
}

// quantize_row_iq4_nl_impl for a super-block
void QuantizeIq4Xs(const BlockFormat& format, const BlockSource& from, Block& block) {
  const float mean_square = SumOfSquares(from.x, kBlock) * (2.0F / kBlock);
  float scales[kMaxGroups];
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const float* x = from.x + g * format.group;
    float weights[32];
    if (from.importance != nullptr) {
      WeighByMagnitude(x, from.importance + g * format.group, format.group, mean_square, weights);
    } else {
      for (size_t i = 0; i < format.group; ++i) weights[i] = x[i] * x[i];
    }
    scales[g] = FitTable({x, weights, format.group}, format.table);
  }
  block.scale = -Extreme(scales, format.groups()) / 32;
  const float inverse = block.scale != 0 ? 1 / block.scale : 0;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const int integer =
        std::clamp(Nearest(inverse * scales[g]), format.scale_low, format.scale_high);
    block.scales[g] = static_cast<int8_t>(integer);
    // Not the scale as a half: ggml's codes suit the float.
    const float step = block.scale * static_cast<float>(integer);
    const float per_step = step != 0 ? 1 / step : 0;
    for (uint32_t i = g * format.group; i < (g + 1) * format.group; ++i)
      block.codes[i] = NearestLevel(format.table, per_step * from.x[i]);
  }
}

}  // namespace

void QuantizeSuperAffine(const BlockFormat& format, const BlockSource& from, Block& block) {
  const uint32_t groups = format.groups();
  const float squares = SumOfSquares(from.x, kBlock);
  const float mean_square = (format.type == kQ2_K ? squares : 2 * squares) / kBlock;
  float scales[kMaxGroups], mins[kMaxGroups], sums[kMaxGroups];
  for (uint32_t g = 0; g < groups; ++g) {
    const uint32_t at = g * format.group;
    float weights[32];
    const Group group{from.x + at, weights, format.group};
    AffineSearch search{format.levels - 1, -0.9F, 0.05F, 36, false};
    if (from.importance != nullptr) {
      WeighByMagnitude(group.x, from.importance + at, group.count, mean_square, weights);
    } else {
      search = WeighReference(format.type, group, weights);
    }
    sums[g] = Sum(weights, group.count);
    const Affine fit = FitAffine(group, search, block.codes + at);
    scales[g] = fit.scale;
    mins[g] = fit.min;
  }
  if (from.importance != nullptr) {
    uint8_t integers[kMaxGroups];
    block.scale = FitPositive({scales, sums, groups}, format.scale_high, integers);
    std::copy_n(integers, groups, block.scales);
    block.min_scale = FitPositive({mins, sums, groups}, format.min_high, block.mins);
  } else {
    block.scale = RoundMultiples(scales, groups, format.scale_high, block.scales);
    block.min_scale = RoundMultiples(mins, groups, format.min_high, block.mins);
  }
  RoundAgain(format, from.x, block);
}

void QuantizeSuperSymmetric(const BlockFormat& format, const BlockSource& from, Block& block) {
  if (format.type == kQ3_K) return QuantizeQ3(format, from, block);
  if (format.type == kQ6_K) return QuantizeQ6(format, from, block);
  CHECK(format.type == kIQ4_XS);
  QuantizeIq4Xs(format, from, block);
}

}  // namespace trimma::exact
