// The levels of a format, and what they make of a group: its error, its codes. Compiled once per
// instruction set.
#if defined(TRIMMA_LEVELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIMMA_LEVELS_INL_H
#undef TRIMMA_LEVELS_INL_H
#else
#define TRIMMA_LEVELS_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/kernels/group_batch.h"

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::CappedTag<float, kLanes>;
using Vec = hn::Vec<Floats>;

// 1 / v, and 0 for 0.
HWY_INLINE Vec InverseOrZero(Vec v) {
  const Floats d;
  return hn::IfThenZeroElse(v == hn::Zero(d), hn::Div(hn::Set(d, 1.0F), v));
}
HWY_INLINE Vec Clamp(Vec v, Vec low, Vec high) { return hn::Min(hn::Max(v, low), high); }

class LinearLevels {
 public:
  explicit LinearLevels(const BlockFormat& format)
      : low_(hn::Set(Floats(), static_cast<float>(format.Level(0)))),
        high_(hn::Set(Floats(), static_cast<float>(format.Level(0) + format.levels - 1))) {}
  HWY_INLINE Vec Nearest(Vec t) const { return Clamp(hn::Round(t), low_, high_); }
  HWY_INLINE Vec Code(Vec level) const { return hn::Sub(level, low_); }

 private:
  Vec low_, high_;
};

// IQ4_NL and IQ4_XS. Sums over the 15 steps between levels cost less than look-ups do.
class TableLevels {
 public:
  explicit TableLevels(const BlockFormat& format) : lowest_(format.table[0]) {
    for (int k = 0; k < kSteps; ++k) {
      middle_[k] = 0.5F * static_cast<float>(format.table[k] + format.table[k + 1]);
      step_[k] = static_cast<float>(format.table[k + 1] - format.table[k]);
    }
  }
  HWY_INLINE Vec Nearest(Vec t) const {
    const Floats d;
    Vec level = hn::Set(d, lowest_);
    for (int k = 0; k < kSteps; ++k) {
      const auto above = t > hn::Set(d, middle_[k]);
      level = hn::Add(level, hn::IfThenElseZero(above, hn::Set(d, step_[k])));
    }
    return level;
  }
  HWY_INLINE Vec Code(Vec level) const {
    const Floats d;
    Vec code = hn::Zero(d);
    for (int k = 0; k < kSteps; ++k) {
      const auto above = level > hn::Set(d, middle_[k]);
      code = hn::Add(code, hn::IfThenElseZero(above, hn::Set(d, 1.0F)));
    }
    return code;
  }

 private:
  static constexpr int kSteps = 15;
  float lowest_;
  float middle_[kSteps], step_[kSteps];
};

// Of the groups from lane `c` on, quantised with `scale` and `min`.
template <size_t kGroup, class Levels>
HWY_INLINE Vec ErrorOf(const GroupBatch& batch, size_t c, Vec scale, Vec min,
                       const Levels& levels) {
  const Floats d;
  const Vec inverse = InverseOrZero(scale);
  Vec error = hn::Zero(d);
  for (size_t i = 0; i < kGroup; ++i) {
    const Vec x = hn::Add(hn::Load(d, batch.x[i] + c), min);
    const Vec e = hn::NegMulAdd(scale, levels.Nearest(hn::Mul(x, inverse)), x);
    error = hn::MulAdd(hn::Mul(hn::Load(d, batch.w[i] + c), e), e, error);
  }
  return error;
}

template <size_t kGroup, class Levels>
HWY_INLINE void WriteCodes(const GroupBatch& batch, const BatchScales& scales, const Levels& levels,
                           BatchCodes& codes) {
  const Floats d;
  const hn::Rebind<int32_t, Floats> as_int;
  const hn::Rebind<uint8_t, Floats> as_byte;
  for (size_t c = 0; c < kLanes; c += hn::Lanes(d)) {
    const Vec scale = hn::Mul(hn::Load(d, scales.scale + c), hn::Load(d, scales.scales + c));
    const Vec min = hn::Mul(hn::Load(d, scales.min_scale + c), hn::Load(d, scales.mins + c));
    const Vec inverse = InverseOrZero(scale);
    for (size_t i = 0; i < kGroup; ++i) {
      const Vec x = hn::Add(hn::Load(d, batch.x[i] + c), min);
      const Vec code = levels.Code(levels.Nearest(hn::Mul(x, inverse)));
      hn::StoreU(hn::DemoteTo(as_byte, hn::ConvertTo(as_int, code)), as_byte, codes[i] + c);
    }
  }
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
