#include "quantize/kernels/best_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/kernels/search_grid.h"
#include "quantize/kernels/super_scale.h"

namespace trimma {
namespace {

float InverseOrZero(float v) { return v == 0 ? 0 : 1 / v; }

// A sum of squares in 16 parts, as the lanes add them.
float MeanSquare(const float* x, uint32_t n) {
  float parts[kGroupLanes] = {};
  for (uint32_t i = 0; i < n; ++i)
    parts[i % kGroupLanes] = std::fma(x[i], x[i], parts[i % kGroupLanes]);
  float sum = 0;
  for (const float part : parts) sum += part;
  return sum / static_cast<float>(n);
}

// Values in units, and weights.
struct Scaled {
  float unit = 1;
  float x[kMaxBlock];
  float w[kMaxBlock];
};

void Prepare(const BlockFormat& format, const ReferenceSource& from, Scaled& to) {
  const Measure measure = MeasureOf(format.type);
  float largest = 0;
  for (uint32_t i = 0; i < format.block; ++i) {
    to.x[i] = std::isfinite(from.x[i]) ? from.x[i] : 0;
    largest = std::max(largest, std::fabs(to.x[i]));
  }
  const bool nothing = largest < kLeastMagnitude;
  if (!nothing) to.unit = std::ldexp(1.0F, std::ilogb(largest));
  for (uint32_t i = 0; i < format.block; ++i) to.x[i] = nothing ? 0 : to.x[i] * (1 / to.unit);
  float mean_square = MeanSquare(to.x, format.block);
  if (measure.mean == MeanOf::kRow)
    mean_square = std::pow(std::min(from.row_root / to.unit, kLargestRoot), 2.0F);
  mean_square *= measure.share;
  float most = 0;
  for (uint32_t i = 0; i < format.block; ++i) {
    float q = from.importance == nullptr ? 1 : from.importance[i];
    q = q > 0 ? std::min(q, kLargestImportance) : 0;
    if (measure.mean != MeanOf::kNothing) q *= std::sqrt(std::fma(to.x[i], to.x[i], mean_square));
    to.w[i] = q;
    most = std::max(most, q);
  }
  const float factor = most > std::numeric_limits<float>::min() * 16 ? 1 / most : 0;
  for (uint32_t i = 0; i < format.block; ++i) to.w[i] = std::max(to.w[i] * factor, kLeastWeight);
}

float NearestLevel(const BlockFormat& format, float t) {
  if (format.table == nullptr)
    return std::clamp(std::nearbyint(t), static_cast<float>(format.offset),
                      static_cast<float>(format.offset + format.levels - 1));
  int code = 0;
  while (code < 15 && 2 * t > static_cast<float>(format.table[code] + format.table[code + 1]))
    ++code;
  return format.table[code];
}

struct Fit {
  float scale, min, ll, l, w;
};

Fit FitAffine(const BlockFormat& format, const float* x, const float* w) {
  const uint32_t n = format.group;
  const auto top = static_cast<float>(format.levels - 1);
  float least = *std::min_element(x, x + n);
  const float most = *std::max_element(x, x + n);
  if (format.has_group_scales()) least = std::min(least, 0.0F);
  const bool flat = most - least < kLeastMagnitude;
  const float step = flat ? 1 : (most - least) / top;
  const float most_b = format.has_group_scales() ? -(least / step) : 1e30F;
  float t[kMaxGroup], sum_w = 0, sum_t = 0;
  for (uint32_t i = 0; i < n; ++i) {
    t[i] = (x[i] - least) * (1 / step);
    sum_w += w[i];
    sum_t = std::fma(w[i], t[i], sum_t);
  }
  // All at the top, unless a try has two levels and is better.
  const float mean = sum_t / sum_w;
  float a = mean / top, b = 0, best = mean * sum_t, best_l = sum_w * top, best_ll = best_l * top;
  const auto attempt = [&](float factor, float shift) {
    float l = 0, ll = 0, lt = 0;
    for (uint32_t i = 0; i < n; ++i) {
      const float level = std::clamp(std::nearbyint(std::fma(t[i], factor, shift)), 0.0F, top);
      const float wl = w[i] * level;
      l += wl;
      ll = std::fma(wl, level, ll);
      lt = std::fma(wl, t[i], lt);
    }
    const float determinant = std::fma(sum_w, ll, -(l * l));
    if (!(determinant > kLeastSpread * (sum_w * ll))) return;
    float this_b = std::fma(ll, sum_t, -(l * lt)) / determinant;
    float this_a = std::fma(sum_w, lt, -(l * sum_t)) / determinant;
    if (this_b > most_b) {
      this_b = most_b;
      this_a = std::fma(-this_b, l, lt) / ll;
    }
    const float b_part = this_b * std::fma(-this_b, sum_w, sum_t + sum_t);
    const float a_part = std::fma(-this_a, ll, lt + lt - (this_b * l + this_b * l));
    const float gain = std::fma(this_a, a_part, b_part);
    if (!(gain > best)) return;
    a = this_a, b = this_b, best = gain, best_l = l, best_ll = ll;
  };
  for (const float low : kLowEnds) {
    for (const float high : kHighEnds) attempt(1 + (high - low) / top, low);
  }
  for (const Ends& cut : kCuts) attempt(1 + (cut.high - cut.low), cut.low * top);
  for (int i = 0; i < kRefits; ++i) {
    const float factor = InverseOrZero(a);
    attempt(factor, -(b * factor));
  }
  return {flat ? 0 : a * step, -std::fma(b, step, least), best_ll, best_l, sum_w};
}

Fit FitSymmetric(const BlockFormat& format, const float* x, const float* w) {
  float extreme = 0;
  for (uint32_t i = 0; i < format.group; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  if (std::fabs(extreme) < kLeastMagnitude) return {0, 0, 0, 0, 0};
  float scale = 0, best = 0, best_ll = 0;
  const auto attempt = [&](float factor) {
    float lx = 0, ll = 0;
    for (uint32_t i = 0; i < format.group; ++i) {
      const float level = NearestLevel(format, x[i] * factor);
      lx = std::fma(w[i] * level, x[i], lx);
      ll = std::fma(w[i] * level, level, ll);
    }
    const float this_scale = lx * InverseOrZero(ll);
    if (this_scale * lx > best) scale = this_scale, best = this_scale * lx, best_ll = ll;
  };
  const int ends[] = {format.Level(0), format.Level(static_cast<uint8_t>(format.levels - 1))};
  for (const float stretch : kStretches) {
    for (const int end : ends) attempt(1 / extreme * (static_cast<float>(end) * stretch));
  }
  for (int i = 0; i < kRefits; ++i) attempt(InverseOrZero(scale));
  return {scale, 0, best_ll, 0, 0};
}

float ErrorOf(const BlockFormat& format, const float* x, const float* w, const Fit& held) {
  const float inverse = InverseOrZero(held.scale);
  float error = 0;
  for (uint32_t i = 0; i < format.group; ++i) {
    const float v = x[i] + held.min;
    const float off = std::fma(-held.scale, NearestLevel(format, v * inverse), v);
    error = std::fma(w[i] * off, off, error);
  }
  return error;
}

void Refine(const BlockFormat& format, const Scaled& from, const GroupFit& fit,
            BatchScales& scales) {
  const int min_reach = format.has_mins() ? kMinReach : 0;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const float scale = scales.scale[g];
    const float min_scale = scales.min_scale[g];
    const float lever = format.has_mins() ? fit.l[g] / fit.w[g] : 0;
    const float middle = std::nearbyint(fit.scale[g] * InverseOrZero(scale));
    float least_error = 1e30F;
    for (int i = -kScaleReach; i <= kScaleReach; ++i) {
      const float s =
          std::clamp<float>(middle + static_cast<float>(i), static_cast<float>(format.scale_low),
                            static_cast<float>(format.scale_high));
      const float optimum = std::fma(lever, s * scale - fit.scale[g], fit.min[g]);
      const float min_middle = std::nearbyint(optimum * InverseOrZero(min_scale));
      for (int j = -min_reach; j <= min_reach; ++j) {
        const float m = std::clamp<float>(min_middle + static_cast<float>(j), 0,
                                          static_cast<float>(format.min_high));
        const uint32_t at = g * format.group;
        const float error = ErrorOf(format, from.x + at, from.w + at,
                                    {s * scale, format.has_mins() ? m * min_scale : 0, 0, 0, 0});
        if (!(error < least_error)) continue;
        least_error = error;
        scales.scales[g] = s;
        scales.mins[g] = m;
      }
    }
  }
}

uint8_t CodeOf(const BlockFormat& format, float level) {
  if (format.table == nullptr) return static_cast<uint8_t>(static_cast<int>(level) - format.offset);
  return static_cast<uint8_t>(std::lower_bound(format.table, format.table + 16, level) -
                              format.table);
}

}  // namespace

void QuantizeBlockReference(const BlockFormat& format, const ReferenceSource& from, Block& block) {
  Scaled scaled;
  Prepare(format, from, scaled);
  GroupBatch batch;
  GroupFit fit;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    const float* x = scaled.x + g * format.group;
    const float* w = scaled.w + g * format.group;
    const Fit f = format.has_mins() ? FitAffine(format, x, w) : FitSymmetric(format, x, w);
    batch.unit[g] = scaled.unit;
    fit.scale[g] = f.scale;
    fit.min[g] = f.min;
    fit.ll[g] = f.ll;
    fit.l[g] = f.l;
    fit.w[g] = f.w;
  }
  BatchScales scales = {};
  ChooseBlockScales(format, batch, fit, 1, scales);
  if (format.has_group_scales()) Refine(format, scaled, fit, scales);
  block = Block{};
  block.scale = scales.scale[0] * scaled.unit;
  block.min_scale = scales.min_scale[0] * scaled.unit;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    block.scales[g] = static_cast<int8_t>(scales.scales[g]);
    block.mins[g] = static_cast<uint8_t>(scales.mins[g]);
    const float scale = scales.scale[g] * scales.scales[g];
    const float min = scales.min_scale[g] * scales.mins[g];
    for (uint32_t i = g * format.group; i < (g + 1) * format.group; ++i)
      block.codes[i] =
          CodeOf(format, NearestLevel(format, (scaled.x[i] + min) * InverseOrZero(scale)));
  }
}

}  // namespace trimma
