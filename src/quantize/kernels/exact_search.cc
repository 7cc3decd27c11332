#include "quantize/kernels/exact_search.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace trimma::exact {
namespace {

float WeightOf(const Group& group, size_t i) {
  return group.weights != nullptr ? group.weights[i] : group.x[i] * group.x[i];
}

// Sums w x l and w l l.
struct Sums {
  float xl = 0;
  float ll = 0;
  void Add(float w, float x, float level) {
    xl += w * x * level;
    ll += w * level * level;
  }
  bool Beats(float best) const { return ll > 0 && xl * xl > best * ll; }
};

int SymmetricLevel(float value, int top) { return std::clamp(Nearest(value), -top, top - 1); }

Sums SymmetricSums(const Group& group, int top, float inverse) {
  Sums sums;
  for (size_t i = 0; i < group.count; ++i) {
    const auto level = static_cast<float>(SymmetricLevel(inverse * group.x[i], top));
    sums.Add(WeightOf(group, i), group.x[i], level);
  }
  return sums;
}

void SymmetricCodes(const Group& group, int top, float inverse, uint8_t* codes) {
  for (size_t i = 0; i < group.count; ++i)
    codes[i] = static_cast<uint8_t>(top + SymmetricLevel(inverse * group.x[i], top));
}

struct LevelRange {
  int low;
  int high;
  bool others_needed;  // a level stays where all others are 0
};

// Moves each level to where the others want it if that helps; true if any moved.
bool MoveLevels(const Group& group, const LevelRange& range, Sums& sums, int* levels) {
  bool moved = false;
  for (size_t i = 0; i < group.count; ++i) {
    const float x = group.x[i];
    const float w = WeightOf(group, i);
    const auto level = static_cast<float>(levels[i]);
    Sums changed{sums.xl - w * x * level, sums.ll - w * level * level};
    if (!(changed.xl > 0) || (range.others_needed && !(changed.ll > 0))) continue;
    const int wanted = std::clamp(Nearest(x * changed.ll / changed.xl), range.low, range.high);
    if (wanted == levels[i]) continue;
    changed.Add(w, x, static_cast<float>(wanted));
    if (changed.ll > 0 && changed.xl * changed.xl * sums.ll > sums.xl * sums.xl * changed.ll) {
      levels[i] = wanted;
      sums = changed;
      moved = true;
    }
  }
  return moved;
}

// Up to five times over the group; then the codes, from `low` on, and the scale.
float Settle(const Group& group, const LevelRange& range, Sums sums, int* levels, uint8_t* codes) {
  for (int pass = 0; pass < 5 && MoveLevels(group, range, sums, levels); ++pass) {
  }
  for (size_t i = 0; i < group.count; ++i) codes[i] = static_cast<uint8_t>(levels[i] - range.low);
  return sums.ll > 0 ? sums.xl / sums.ll : 0;
}

}  // namespace

int Nearest(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 12582912.0F);  // 1.5 * 2^23
  return static_cast<int>(bits & 0x007FFFFFU) - 0x00400000;
}

float Extreme(const float* x, size_t n) {
  float extreme = 0;
  for (size_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  return extreme;
}

float FitSymmetric(const Group& group, int top, uint8_t* codes) {
  const float extreme = Extreme(group.x, group.count);
  if (std::fabs(extreme) < kLeastMagnitude) {
    std::fill_n(codes, group.count, uint8_t{0});
    return 0;
  }
  float best_inverse = static_cast<float>(-top) / extreme;
  Sums sums = SymmetricSums(group, top, best_inverse);
  float scale = sums.ll != 0 ? sums.xl / sums.ll : 0;
  float best = scale * sums.xl;
  for (int i = -9; i <= 9; ++i) {
    if (i == 0) continue;
    const float inverse = -(static_cast<float>(top) + 0.1F * static_cast<float>(i)) / extreme;
    sums = SymmetricSums(group, top, inverse);
    if (!sums.Beats(best)) continue;
    best_inverse = inverse;
    scale = sums.xl / sums.ll;
    best = scale * sums.xl;
  }
  SymmetricCodes(group, top, best_inverse, codes);
  return scale;
}

float FitSymmetricStepwise(const Group& group, int top, uint8_t* codes) {
  const float extreme = Extreme(group.x, group.count);
  if (std::fabs(extreme) < kLeastMagnitude) {
    std::fill_n(codes, group.count, uint8_t{0});
    return 0;
  }
  const float inverse = static_cast<float>(-top) / extreme;
  int levels[32];
  Sums sums;
  for (size_t i = 0; i < group.count; ++i) {
    levels[i] = SymmetricLevel(inverse * group.x[i], top);
    sums.Add(WeightOf(group, i), group.x[i], static_cast<float>(levels[i]));
  }
  return Settle(group, {-top, top - 1, false}, sums, levels, codes);
}

float FitPositive(const Group& group, int top, uint8_t* codes) {
  float most = 0;
  for (size_t i = 0; i < group.count; ++i) most = std::max(most, group.x[i]);
  if (most < kLeastMagnitude) {
    std::fill_n(codes, group.count, uint8_t{0});
    return 0;
  }
  float best_inverse = static_cast<float>(top) / most;
  float best_error = 0;
  for (int i : {0, -4, -3, -2, -1, 1, 2, 3, 4}) {
    const float inverse = (0.1F * static_cast<float>(i) + static_cast<float>(top)) / most;
    const float scale = 1 / inverse;
    float error = 0;
    for (size_t k = 0; k < group.count; ++k) {
      // Without a limit for the first, which ends at the top by itself.
      const int level =
          i == 0 ? Nearest(inverse * group.x[k]) : std::min(top, Nearest(inverse * group.x[k]));
      const float off = group.x[k] - scale * static_cast<float>(level);
      error += group.weights[k] * off * off;
    }
    if (i == 0 || error < best_error) {
      best_error = error;
      best_inverse = inverse;
    }
  }
  int levels[32];
  Sums sums;
  for (size_t i = 0; i < group.count; ++i) {
    levels[i] = std::min(top, Nearest(best_inverse * group.x[i]));
    sums.Add(group.weights[i], group.x[i], static_cast<float>(levels[i]));
  }
  return Settle(group, {0, top, true}, sums, levels, codes);
}

}  // namespace trimma::exact
