#include "quantize/rounding/feedback_kernel.h"

#include "quantize/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/rounding/feedback_kernel.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
// Must come after foreach_target.h.
#include <hwy/highway.h>

#include "quantize/rounding/nearest_level-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trimma {
namespace HWY_NAMESPACE {
namespace {

using Floats = hn::CappedTag<float, 16>;
using Bytes = hn::Rebind<uint8_t, Floats>;
using Ints = hn::Rebind<int32_t, Floats>;

template <bool kTable>
void RoundColumn(const FeedbackStep& step, uint64_t j) {
  const Floats d;
  const LaneScales& scales = step.scales[j / step.format->group];
  const auto inverse_pivot = hn::Set(d, 1 / step.inverse[j * step.inverse_stride + j]);
  for (size_t lane = 0; lane < kLanes; lane += hn::Lanes(d)) {
    const size_t at = j * kLanes + lane;
    const auto target = hn::Load(d, step.targets + at);
    const auto min = hn::Load(d, scales.min + lane);
    const auto y = hn::Mul(hn::Add(target, min), hn::Load(d, scales.inverse + lane));
    const auto nearest = FindNearestLevel<kTable>(d, *step.format, y);
    const auto value = hn::MulSub(hn::Load(d, scales.scale + lane), nearest.level, min);
    hn::Store(value, d, step.values + at);
    hn::Store(hn::Mul(hn::Sub(target, value), inverse_pivot), d, step.errors + at);
    const auto code = hn::DemoteTo(Bytes(), hn::ConvertTo(Ints(), nearest.code));
    hn::StoreU(code, Bytes(), step.codes + at);
  }
}

void FeedColumn(const FeedbackStep& step, uint64_t j) {
  const Floats d;
  const float* u = step.inverse + j * step.inverse_stride;
  for (size_t lane = 0; lane < kLanes; lane += hn::Lanes(d)) {
    const auto error = hn::Load(d, step.errors + j * kLanes + lane);
    for (uint64_t k = j + 1; k < kStepColumns; ++k) {
      float* target = step.targets + k * kLanes + lane;
      hn::Store(hn::NegMulAdd(hn::Set(d, u[k]), error, hn::Load(d, target)), d, target);
    }
  }
}

void RoundAndFeed(FeedbackStep& step) {
  for (uint64_t j = 0; j < kStepColumns; ++j) {
    if (step.format->table != nullptr) {
      RoundColumn<true>(step, j);
    } else {
      RoundColumn<false>(step, j);
    }
    FeedColumn(step, j);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace trimma
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {

HWY_EXPORT(RoundAndFeed);

void RoundStep(FeedbackStep& step) { HWY_DYNAMIC_DISPATCH(RoundAndFeed)(step); }

}  // namespace trimma
#endif  // HWY_ONCE
