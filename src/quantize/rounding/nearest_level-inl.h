// Highway's way to share vector code: included once per instruction set.
#if defined(TRIMMA_NEAREST_LEVEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIMMA_NEAREST_LEVEL_INL_H_
#undef TRIMMA_NEAREST_LEVEL_INL_H_
#else
#define TRIMMA_NEAREST_LEVEL_INL_H_
#endif

#include <hwy/highway.h>

#include "quantize/blocks/block_format.h"

HWY_BEFORE_NAMESPACE();
namespace trimma {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
struct NearestLevel {
  hn::Vec<D> code;
  hn::Vec<D> level;
};

// The level of `format` nearest to each of y, weights over their group's scale.
template <bool kTable, class D>
HWY_INLINE NearestLevel<D> FindNearestLevel(D d, const BlockFormat& format, hn::Vec<D> y) {
  if constexpr (kTable) {
    // Levels rise: one comparison with the middle of each two neighbours.
    auto code = hn::Zero(d);
    auto level = hn::Set(d, static_cast<float>(format.table[0]));
    const auto one = hn::Set(d, 1.0F);
    for (int k = 1; k < format.levels; ++k) {
      const auto low = static_cast<float>(format.table[k - 1]);
      const auto high = static_cast<float>(format.table[k]);
      const auto above = hn::Ge(y, hn::Set(d, (low + high) / 2));
      code = hn::Add(code, hn::IfThenElseZero(above, one));
      level = hn::Add(level, hn::IfThenElseZero(above, hn::Set(d, high - low)));
    }
    return {code, level};
  } else {
    const auto offset = hn::Set(d, static_cast<float>(format.offset));
    const auto low = hn::Set(d, static_cast<float>(format.offset + format.first_code));
    const auto high = hn::Set(d, static_cast<float>(format.offset + format.levels - 1));
    const auto level = hn::Min(hn::Max(hn::Round(y), low), high);
    return {hn::Sub(level, offset), level};
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace trimma
HWY_AFTER_NAMESPACE();

#endif  // include once per instruction set
