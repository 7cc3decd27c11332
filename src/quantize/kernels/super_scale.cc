#include "quantize/kernels/super_scale.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "quantize/kernels/search_grid.h"

namespace trimma {
namespace {

constexpr int kTries = 16;
constexpr float kLargestHalf = 65504;

// What the largest value starts at, by the end of the integers: less leaves fewer of them, but may
// come nearer to the other values; more cuts it off.
float Stretch(int k) { return 0.74F + 0.02F * static_cast<float>(k); }

// To nearest, for magnitudes under 2^22; unlike std::nearbyint it becomes vector code.
float Nearest(float value) {
  constexpr float kShift = 12582912;  // 1.5 * 2^23
  return (value + kShift) - kShift;
}

struct Best {
  float gain = 0;
  float scale = 0;
};

// All tries with the largest value at one end.
void TryEnd(const SuperScaleProblem& p, float inverse, Best& best) {
  const auto low = static_cast<float>(p.low);
  const auto high = static_cast<float>(p.high);
  float factor[kTries], lx[kTries] = {}, ll[kTries] = {};
  for (int k = 0; k < kTries; ++k) factor[k] = inverse * Stretch(k);
  for (size_t g = 0; g < p.count; ++g) {
    for (int k = 0; k < kTries; ++k) {
      const float l = std::min(high, std::max(low, Nearest(p.values[g] * factor[k])));
      const float wl = p.weights[g] * l;
      lx[k] += wl * p.values[g];
      ll[k] += wl * l;
    }
  }
  for (int k = 0; k < kTries; ++k) {
    if (ll[k] > 0 && lx[k] * lx[k] > best.gain * ll[k])
      best = {lx[k] * lx[k] / ll[k], lx[k] / ll[k]};
  }
}

}  // namespace

float HalfScale(float value, float unit) {
  return RoundToHalf(std::clamp(value * unit, -kLargestHalf, kLargestHalf)) / unit;
}

float ChooseSuperScale(const SuperScaleProblem& p) {
  float extreme = 0;
  for (size_t g = 0; g < p.count; ++g) {
    if (std::fabs(p.values[g]) > std::fabs(extreme)) extreme = p.values[g];
  }
  if (std::fabs(extreme) < kLeastMagnitude) return 0;
  Best best;
  TryEnd(p, static_cast<float>(p.high) / extreme, best);
  if (p.low != 0) TryEnd(p, static_cast<float>(p.low) / extreme, best);
  return HalfScale(best.scale, p.unit);
}

void ChooseBlockScales(const BlockFormat& format, const GroupBatch& batch, const GroupFit& fit,
                       size_t blocks, BatchScales& scales) {
  const size_t groups = format.groups();
  for (size_t first = 0; first < blocks * groups; first += groups) {
    const float unit = batch.unit[first];
    if (!format.has_group_scales()) {
      scales.scale[first] = HalfScale(fit.scale[first], unit);
      scales.min_scale[first] = format.has_mins() ? HalfScale(fit.min[first], unit) : 0;
      scales.scales[first] = scales.mins[first] = 1;
      continue;
    }
    // A scale's error counts as far as no change of the min makes up for it; mins can't fall
    // below 0.
    float curvature[kGroupLanes], lever[kGroupLanes], min[kGroupLanes];
    for (size_t g = 0; g < groups; ++g) {
      lever[g] = format.has_mins() ? fit.l[first + g] / fit.w[first + g] : 0;
      const float ll = fit.ll[first + g];
      const bool min_is_free = format.has_mins() && fit.min[first + g] > 0;
      curvature[g] =
          min_is_free ? std::max(kLeastSpread * ll, ll - lever[g] * fit.l[first + g]) : ll;
    }
    const float scale = ChooseSuperScale(
        {fit.scale + first, curvature, groups, format.scale_low, format.scale_high, unit});
    float min_scale = 0;
    if (format.has_mins()) {
      // The mins that suit the scales as rounded.
      for (size_t g = 0; g < groups; ++g) {
        const float wanted = fit.scale[first + g];
        const auto top = static_cast<float>(format.scale_high);
        const float rounded = scale > 0 ? scale * std::min(top, Nearest(wanted / scale)) : 0;
        min[g] = std::max(0.0F, fit.min[first + g] + lever[g] * (rounded - wanted));
      }
      min_scale = ChooseSuperScale({min, fit.w + first, groups, 0, format.min_high, unit});
    }
    std::fill_n(scales.scale + first, groups, scale);
    std::fill_n(scales.min_scale + first, groups, min_scale);
  }
}

}  // namespace trimma
