// Q8_0: with 255 levels a search has little to gain; this rounds as ggml does, and gives its bytes.
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "quantize/kernels/best.h"
#include "quantize/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kernels/best_q8_0.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
constexpr size_t kBlock = 32;
constexpr float kTop = 127;

// Halves away from zero, as roundf: adding what is next below a half carries no value over that
// isn't one.
template <class D>
HWY_INLINE hn::Vec<D> RoundAway(D d, hn::Vec<D> v) {
  return hn::Trunc(hn::Add(v, hn::CopySign(hn::Set(d, 0x1.FFFFFEp-2F), v)));
}

bool Q8_0Blocks(const float* from, uint64_t blocks, uint8_t* to) {
  using Floats = hn::CappedTag<float, kBlock>;
  const Floats d;
  const hn::Rebind<int32_t, Floats> as_int;
  const hn::Rebind<int8_t, Floats> as_byte;
  const auto finite = hn::Set(d, std::numeric_limits<float>::max());
  bool fits = true;
  for (uint64_t b = 0; b < blocks; ++b, from += kBlock, to += 2 + kBlock) {
    auto most = hn::Zero(d);
    for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
      const auto magnitude = hn::Abs(hn::LoadU(d, from + i));
      most = hn::Max(most, hn::IfThenElseZero(magnitude <= finite, magnitude));
    }
    const float largest = hn::GetLane(hn::MaxOfLanes(d, most));
    // Below, 1 / scale would overflow; the scale is 0 as a half anyway.
    const bool nothing = largest < 0x1p-60F;
    float scale = largest / kTop;
    if (scale > 65504) {
      scale = 65504;
      fits = false;
    }
    const auto inverse = hn::Set(d, nothing ? 0.0F : 1 / scale);
    const uint16_t half = FloatToHalf(nothing ? 0.0F : scale);
    std::memcpy(to, &half, sizeof(half));
    for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
      auto x = hn::LoadU(d, from + i);
      x = hn::IfThenElseZero(hn::Abs(x) <= finite, x);
      auto code = RoundAway(d, hn::Mul(x, inverse));
      code = hn::Min(hn::Max(code, hn::Set(d, -kTop)), hn::Set(d, kTop));
      HWY_ALIGN int8_t bytes[kBlock];
      hn::Store(hn::DemoteTo(as_byte, hn::ConvertTo(as_int, code)), as_byte, bytes);
      std::memcpy(to + 2 + i, bytes, hn::Lanes(d));
    }
  }
  return fits;
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {
HWY_EXPORT(Q8_0Blocks);
bool BestQ8_0(const float* from, uint64_t blocks, uint8_t* to) {
  return HWY_DYNAMIC_DISPATCH(Q8_0Blocks)(from, blocks, to);
}
}  // namespace trimma
#endif
