// Types without mins: Q4_0, Q5_0, Q3_K, Q6_K, IQ4_NL, IQ4_XS.
#include "quantize/kernels/best.h"
#include "quantize/kernels/search_grid.h"
#include "quantize/kernels/simd_targets.h"
#include "quantize/kernels/super_scale.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kernels/best_symmetric.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include "quantize/kernels/levels-inl.h"
#include "quantize/kernels/load_batch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {

struct Multiple {
  Vec scale;
  Vec gain;  // what it takes off the error, sum w x^2
  Vec ll;    // sum w level^2
};

// The levels next to x * factor, and the scale that suits them.
template <size_t kGroup, class Levels>
HWY_INLINE void Try(const GroupBatch& batch, size_t c, const Levels& levels, Vec factor,
                    Multiple& best) {
  const Floats d;
  Vec lx = hn::Zero(d), ll = lx;
  for (size_t i = 0; i < kGroup; ++i) {
    const Vec x = hn::Load(d, batch.x[i] + c);
    const Vec level = levels.Nearest(hn::Mul(x, factor));
    const Vec wl = hn::Mul(hn::Load(d, batch.w[i] + c), level);
    lx = hn::MulAdd(wl, x, lx);
    ll = hn::MulAdd(wl, level, ll);
  }
  const Vec scale = hn::Mul(lx, InverseOrZero(ll));
  const Vec gain = hn::Mul(scale, lx);
  const auto better = gain > best.gain;
  best.scale = hn::IfThenElse(better, scale, best.scale);
  best.gain = hn::IfThenElse(better, gain, best.gain);
  best.ll = hn::IfThenElse(better, ll, best.ll);
}

template <size_t kGroup, class Levels>
void FitGroups(const BlockFormat& format, const GroupBatch& batch, GroupFit& fit) {
  const Floats d;
  const Levels levels(format);
  const auto low = static_cast<float>(format.Level(0));
  const auto high = static_cast<float>(format.Level(static_cast<uint8_t>(format.levels - 1)));
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    Vec extreme = hn::Zero(d);
    for (size_t i = 0; i < kGroup; ++i) {
      const Vec x = hn::Load(d, batch.x[i] + c);
      extreme = hn::IfThenElse(hn::Abs(x) > hn::Abs(extreme), x, extreme);
    }
    const auto flat = hn::Abs(extreme) < hn::Set(d, kLeastMagnitude);
    const Vec inverse = InverseOrZero(hn::IfThenZeroElse(flat, extreme));
    Multiple best{hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    for (const float stretch : kStretches) {
      Try<kGroup>(batch, c, levels, hn::Mul(inverse, hn::Set(d, low * stretch)), best);
      Try<kGroup>(batch, c, levels, hn::Mul(inverse, hn::Set(d, high * stretch)), best);
    }
    for (int i = 0; i < kRefits; ++i)
      Try<kGroup>(batch, c, levels, InverseOrZero(best.scale), best);
    hn::Store(hn::IfThenZeroElse(flat, best.scale), d, fit.scale + c);
    hn::Store(best.ll, d, fit.ll + c);
  }
}

// The integers of the groups: those around the fit, by the error that they leave.
template <size_t kGroup, class Levels>
void RefineGroups(const BlockFormat& format, const GroupBatch& batch, const GroupFit& fit,
                  BatchScales& scales) {
  const Floats d;
  const Levels levels(format);
  const Vec low = hn::Set(d, static_cast<float>(format.scale_low));
  const Vec high = hn::Set(d, static_cast<float>(format.scale_high));
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    const Vec scale = hn::Load(d, scales.scale + c);
    const Vec middle = hn::Round(hn::Mul(hn::Load(d, fit.scale + c), InverseOrZero(scale)));
    Vec least_error = hn::Set(d, 1e30F), best = hn::Zero(d);
    for (int i = -kScaleReach; i <= kScaleReach; ++i) {
      const Vec s = Clamp(hn::Add(middle, hn::Set(d, static_cast<float>(i))), low, high);
      const Vec error = ErrorOf<kGroup>(batch, c, hn::Mul(scale, s), hn::Zero(d), levels);
      const auto better = error < least_error;
      least_error = hn::IfThenElse(better, error, least_error);
      best = hn::IfThenElse(better, s, best);
    }
    hn::Store(best, d, scales.scales + c);
  }
}

template <size_t kGroup, class Levels>
bool RunBatch(const BestJob& job, const BatchSource& source) {
  const BlockFormat& format = *job.format;
  GroupBatch batch;
  GroupFit fit;
  BatchScales scales = {};
  BatchCodes codes;
  LoadBatch(format, job.measure, source, batch);
  FitGroups<kGroup, Levels>(format, batch, fit);
  ChooseBlockScales(format, batch, fit, source.count, scales);
  if (format.has_group_scales()) RefineGroups<kGroup, Levels>(format, batch, fit, scales);
  WriteCodes<kGroup>(batch, scales, Levels(format), codes);
  return PackBatch(job, source, batch, scales, codes);
}

bool SymmetricBatch(const BestJob& job, const BatchSource& source) {
  if (job.format->table != nullptr) return RunBatch<32, TableLevels>(job, source);
  if (job.format->group == 16) return RunBatch<16, LinearLevels>(job, source);
  return RunBatch<32, LinearLevels>(job, source);
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {
HWY_EXPORT(SymmetricBatch);
bool BestSymmetricBatch(const BestJob& job, const BatchSource& source) {
  return HWY_DYNAMIC_DISPATCH(SymmetricBatch)(job, source);
}
}  // namespace trimma
#endif
