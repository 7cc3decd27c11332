#include <algorithm>
#include <cmath>

#include "quantize/kernels/exact_search.h"

namespace trimma::exact {
namespace {

// Of the group with these codes.
float ErrorOf(const Group& group, const Affine& fit, bool absolute, const uint8_t* codes) {
  float error = 0;
  for (size_t i = 0; i < group.count; ++i) {
    const float off = fit.scale * static_cast<float>(codes[i]) + fit.min - group.x[i];
    error += group.weights[i] * (absolute ? std::fabs(off) : off * off);
  }
  return error;
}

struct Sums {
  float w, x, l, ll, xl;  // of w times these
};

// Least squares with min <= 0; false if all codes are the same.
bool Solve(const Sums& s, Affine& fit) {
  const float determinant = s.w * s.ll - s.l * s.l;
  if (!(determinant > 0)) return false;
  fit.scale = (s.w * s.xl - s.x * s.l) / determinant;
  fit.min = (s.ll * s.x - s.l * s.xl) / determinant;
  if (fit.min > 0) fit = {s.xl / s.ll, 0};
  return true;
}

void CodesOf(const Group& group, const AffineSearch& search, float inverse, float min,
             uint8_t* codes) {
  for (size_t i = 0; i < group.count; ++i) {
    const int level = Nearest(inverse * (group.x[i] - min));
    codes[i] = static_cast<uint8_t>(std::clamp(level, 0, search.top));
  }
}

}  // namespace

Affine FitAffine(const Group& group, const AffineSearch& search, uint8_t* codes) {
  float least = group.x[0];
  float most = group.x[0];
  Sums sums{group.weights[0], group.weights[0] * group.x[0], 0, 0, 0};
  for (size_t i = 1; i < group.count; ++i) {
    least = std::min(least, group.x[i]);
    most = std::max(most, group.x[i]);
    sums.w += group.weights[i];
    sums.x += group.weights[i] * group.x[i];
  }
  if (least > 0) least = 0;
  if (most <= least) {
    std::fill_n(codes, group.count, uint8_t{0});
    return {0, -least};
  }
  const auto top = static_cast<float>(search.top);
  const float inverse = top / (most - least);
  Affine best{1 / inverse, least};
  CodesOf(group, search, inverse, least, codes);
  float best_error = ErrorOf(group, best, search.absolute, codes);
  uint8_t tried[32];
  for (int i = 0; i <= search.steps; ++i) {
    const float stretched = search.first + search.delta * static_cast<float>(i) + top;
    // From the best min so far.
    const float start = best.min;
    CodesOf(group, search, stretched / (most - start), start, tried);
    sums.l = sums.ll = sums.xl = 0;
    for (size_t k = 0; k < group.count; ++k) {
      const auto level = static_cast<float>(tried[k]);
      const float w = group.weights[k];
      sums.l += w * level;
      sums.ll += w * level * level;
      sums.xl += w * level * group.x[k];
    }
    Affine fit;
    if (!Solve(sums, fit)) continue;
    const float error = ErrorOf(group, fit, search.absolute, tried);
    if (!(error < best_error)) continue;
    best_error = error;
    best = fit;
    std::copy_n(tried, group.count, codes);
  }
  return {best.scale, -best.min};
}

uint8_t NearestLevel(const int8_t* levels, float x) {
  const int8_t* above = std::upper_bound(levels, levels + 16, x, [](float value, int8_t level) {
    return value < static_cast<float>(level);
  });
  if (above == levels) return 0;
  if (above == levels + 16) return 15;
  const float to_lower = x - static_cast<float>(above[-1]);
  const float to_upper = static_cast<float>(above[0]) - x;
  return static_cast<uint8_t>(above - levels - (to_lower < to_upper ? 1 : 0));
}

float FitTable(const Group& group, const int8_t* levels) {
  const float extreme = Extreme(group.x, group.count);
  if (std::fabs(extreme) < kLeastMagnitude) return 0;
  const auto lowest = static_cast<float>(levels[0]);
  float scale = 0;
  float best = 0;
  for (int i = -8; i <= 7; ++i) {
    // The first is 1 / (-extreme / lowest), rounded twice.
    const float factor =
        i == -8 ? 1 / (-extreme / lowest) : (static_cast<float>(i) + lowest) / extreme;
    float xl = 0;
    float ll = 0;
    for (size_t k = 0; k < group.count; ++k) {
      const auto level = static_cast<float>(levels[NearestLevel(levels, factor * group.x[k])]);
      xl += group.weights[k] * level * group.x[k];
      ll += group.weights[k] * level * level;
    }
    if (i == -8) {
      scale = ll > 0 ? xl / ll : 0;
      best = scale * xl;
    } else if (ll > 0 && xl * xl > best * ll) {
      scale = xl / ll;
      best = scale * xl;
    }
  }
  return scale;
}

}  // namespace trimma::exact
