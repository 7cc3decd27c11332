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
using Floats = hn::CappedTag<float, kGroupLanes>;
using Vec = hn::Vec<Floats>;
using Ints = hn::Rebind<int32_t, Floats>;
constexpr size_t kVectorLanes = hn::MaxLanes(Floats());

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

// A table of 16 floats in registers.
class Table16 {
 public:
  explicit Table16(const float* table) {
    for (size_t i = 0; i < 16; ++i) table_[i] = table[i];
  }
  // indices: 0 .. 15
  HWY_INLINE Vec At(hn::Vec<Ints> indices) const {
    const Floats d;
    const Ints di;
    if constexpr (kVectorLanes == 16) {
      return hn::TableLookupLanes(hn::Load(d, table_), hn::IndicesFromVec(d, indices));
    } else if constexpr (kVectorLanes == 8) {
      const auto eight = hn::IndicesFromVec(d, hn::And(indices, hn::Set(di, 7)));
      const auto upper = hn::RebindMask(d, indices > hn::Set(di, 7));
      return hn::IfThenElse(upper, hn::TableLookupLanes(hn::Load(d, table_ + 8), eight),
                            hn::TableLookupLanes(hn::Load(d, table_), eight));
    } else {
      return hn::GatherIndex(d, table_, indices);
    }
  }

 private:
  HWY_ALIGN float table_[16];
};

// IQ4_NL and IQ4_XS.
class TableLevels {
 public:
  explicit TableLevels(const BlockFormat& format)
      : levels_(Floats16(format, 0).values), middles_(Floats16(format, 1).values) {}
  HWY_INLINE Vec Nearest(Vec t) const { return levels_.At(Index(t)); }
  HWY_INLINE Vec Code(Vec level) const { return hn::ConvertTo(Floats(), Index(level)); }

 private:
  // The levels, or the middles between each and the next; above the last is none.
  struct Floats16 {
    Floats16(const BlockFormat& format, int next) {
      for (int k = 0; k < 16; ++k) {
        const int upper = k + next < 16 ? format.table[k + next] : 1000;
        values[k] = 0.5F * static_cast<float>(format.table[k] + upper);
      }
    }
    float values[16];
  };

  // Along this curve the middles lie at 0.5, 1.5, ... with errors up to 0.1: its floor is the index
  // or, where t has passed a middle already, one less.
  HWY_INLINE hn::Vec<Ints> Index(Vec t) const {
    const Floats d;
    const Vec v = Clamp(t, hn::Set(d, -127.0F), hn::Set(d, 113.0F));
    const Vec slope = hn::MulAdd(hn::Abs(v), hn::Set(d, -2.300672e-4F), hn::Set(d, 8.972467e-2F));
    const auto below = hn::ConvertTo(Ints(), hn::MulAdd(v, slope, hn::Set(d, 7.866650F)));
    const auto above = hn::RebindMask(Ints(), v > middles_.At(below));
    return hn::Sub(below, hn::VecFromMask(Ints(), above));
  }

  Table16 levels_, middles_;
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
  const hn::Rebind<uint8_t, Floats> as_byte;
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    const Vec scale = hn::Mul(hn::Load(d, scales.scale + c), hn::Load(d, scales.scales + c));
    const Vec min = hn::Mul(hn::Load(d, scales.min_scale + c), hn::Load(d, scales.mins + c));
    const Vec inverse = InverseOrZero(scale);
    for (size_t i = 0; i < kGroup; ++i) {
      const Vec x = hn::Add(hn::Load(d, batch.x[i] + c), min);
      const Vec code = levels.Code(levels.Nearest(hn::Mul(x, inverse)));
      hn::StoreU(hn::DemoteTo(as_byte, hn::ConvertTo(Ints(), code)), as_byte, codes[i] + c);
    }
  }
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
