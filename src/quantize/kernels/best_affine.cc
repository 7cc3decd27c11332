// Types with mins: Q4_1, Q5_1, Q2_K, Q4_K, Q5_K.
#include "quantize/kernels/best.h"
#include "quantize/kernels/search_grid.h"
#include "quantize/kernels/simd_targets.h"
#include "quantize/kernels/super_scale.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kernels/best_affine.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include "quantize/kernels/levels-inl.h"
#include "quantize/kernels/load_batch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {

// The best t = a * level + b so far, where t = (x - least x) / step runs from 0 to the top level.
struct Line {
  Vec a, b;
  Vec gain;   // what it takes off the error, sum w t^2
  Vec l, ll;  // sums w level, w level^2
};

struct Range {
  Vec least;   // x
  Vec step;    // of x from level to level
  Vec top;     // level
  Vec most_b;  // of a line
};

// Least squares in the groups of one vector.
template <size_t kGroup>
class LineSearch {
 public:
  LineSearch(const GroupBatch& batch, size_t c, const Range& range)
      : w_(batch.w[0] + c), top_(range.top), most_b_(range.most_b) {
    const Floats d;
    const Vec per_step = hn::Div(hn::Set(d, 1.0F), range.step);
    sum_w_ = sum_t_ = hn::Zero(d);
    for (size_t i = 0; i < kGroup; ++i) {
      const Vec t = hn::Mul(hn::Sub(hn::Load(d, batch.x[i] + c), range.least), per_step);
      const Vec w = hn::Load(d, w_ + i * kGroupLanes);
      hn::Store(t, d, t_ + i * kGroupLanes);
      sum_w_ = hn::Add(sum_w_, w);
      sum_t_ = hn::MulAdd(w, t, sum_t_);
    }
  }
  Vec sum_w() const { return sum_w_; }

  // What stands where no try has two levels.
  HWY_INLINE Line AllAtTop() const {
    const Floats d;
    const Vec mean = hn::Div(sum_t_, sum_w_);
    const Vec l = hn::Mul(sum_w_, top_);
    return {hn::Div(mean, top_), hn::Zero(d), hn::Mul(mean, sum_t_), l, hn::Mul(l, top_)};
  }

  // The levels round(factor * t + shift), and the line that suits them if b is at most most_b.
  HWY_INLINE void Try(Vec factor, Vec shift, Line& best) const {
    const Floats d;
    Vec l = hn::Zero(d), ll = l, lt = l;
    for (size_t i = 0; i < kGroup; ++i) {
      const Vec t = hn::Load(d, t_ + i * kGroupLanes);
      const Vec level = Clamp(hn::Round(hn::MulAdd(t, factor, shift)), hn::Zero(d), top_);
      const Vec wl = hn::Mul(hn::Load(d, w_ + i * kGroupLanes), level);
      l = hn::Add(l, wl);
      ll = hn::MulAdd(wl, level, ll);
      lt = hn::MulAdd(wl, t, lt);
    }
    const Vec determinant = hn::MulSub(sum_w_, ll, hn::Mul(l, l));
    Vec b = hn::Div(hn::MulSub(ll, sum_t_, hn::Mul(l, lt)), determinant);
    Vec a = hn::Div(hn::MulSub(sum_w_, lt, hn::Mul(l, sum_t_)), determinant);
    const auto over = b > most_b_;
    b = hn::IfThenElse(over, most_b_, b);
    a = hn::IfThenElse(over, hn::Div(hn::NegMulAdd(b, l, lt), ll), a);
    // a (2 lt - a ll - 2 b l) + b (2 sum_t - b sum_w_)
    const Vec b_part = hn::Mul(b, hn::NegMulAdd(b, sum_w_, hn::Add(sum_t_, sum_t_)));
    const Vec bl = hn::Mul(b, l);
    const Vec a_part = hn::NegMulAdd(a, ll, hn::Sub(hn::Add(lt, lt), hn::Add(bl, bl)));
    const Vec gain = hn::MulAdd(a, a_part, b_part);
    // Where the levels hardly differ the determinant is but rounding errors.
    const Vec least = hn::Mul(hn::Set(d, kLeastSpread), hn::Mul(sum_w_, ll));
    const auto better = hn::And(determinant > least, gain > best.gain);
    best.a = hn::IfThenElse(better, a, best.a);
    best.b = hn::IfThenElse(better, b, best.b);
    best.gain = hn::IfThenElse(better, gain, best.gain);
    best.l = hn::IfThenElse(better, l, best.l);
    best.ll = hn::IfThenElse(better, ll, best.ll);
  }

 private:
  const float* w_;
  Vec top_, most_b_;
  Vec sum_w_, sum_t_;
  HWY_ALIGN float t_[kGroup * kGroupLanes];
};

template <size_t kGroup>
void FitGroups(const BlockFormat& format, const GroupBatch& batch, GroupFit& fit) {
  const Floats d;
  const auto levels = static_cast<float>(format.levels - 1);
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    Vec least = hn::Load(d, batch.x[0] + c), most = least;
    for (size_t i = 1; i < kGroup; ++i) {
      least = hn::Min(least, hn::Load(d, batch.x[i] + c));
      most = hn::Max(most, hn::Load(d, batch.x[i] + c));
    }
    // Of a super-block, the mins that are taken off are not negative.
    if (format.has_group_scales()) least = hn::Min(least, hn::Zero(d));
    const Vec range = hn::Sub(most, least);
    const auto flat = range < hn::Set(d, kLeastMagnitude);
    const Vec top = hn::Set(d, levels);
    const Vec step = hn::IfThenElse(flat, hn::Set(d, 1.0F), hn::Div(range, top));
    const Vec most_b =
        format.has_group_scales() ? hn::Neg(hn::Div(least, step)) : hn::Set(d, 1e30F);
    const LineSearch<kGroup> search(batch, c, {least, step, top, most_b});
    Line best = search.AllAtTop();
    for (const float low : kLowEnds) {
      for (const float high : kHighEnds)
        search.Try(hn::Set(d, 1 + (high - low) / levels), hn::Set(d, low), best);
    }
    for (const Ends& cut : kCuts)
      search.Try(hn::Set(d, 1 + (cut.high - cut.low)), hn::Set(d, cut.low * levels), best);
    for (int i = 0; i < kRefits; ++i) {
      const Vec factor = InverseOrZero(best.a);
      search.Try(factor, hn::Neg(hn::Mul(best.b, factor)), best);
    }
    hn::Store(hn::IfThenZeroElse(flat, hn::Mul(best.a, step)), d, fit.scale + c);
    hn::Store(hn::Neg(hn::MulAdd(best.b, step, least)), d, fit.min + c);
    hn::Store(best.ll, d, fit.ll + c);
    hn::Store(best.l, d, fit.l + c);
    hn::Store(search.sum_w(), d, fit.w + c);
  }
}

// The integers of the groups: those around the fit, by the error that they leave.
template <size_t kGroup>
void RefineGroups(const BlockFormat& format, const GroupBatch& batch, const GroupFit& fit,
                  BatchScales& scales) {
  const Floats d;
  const LinearLevels levels(format);
  const Vec zero = hn::Zero(d);
  const Vec scale_top = hn::Set(d, static_cast<float>(format.scale_high));
  const Vec min_top = hn::Set(d, static_cast<float>(format.min_high));
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    const Vec scale = hn::Load(d, scales.scale + c), min_scale = hn::Load(d, scales.min_scale + c);
    const Vec per_min = InverseOrZero(min_scale);
    const Vec fit_scale = hn::Load(d, fit.scale + c), fit_min = hn::Load(d, fit.min + c);
    const Vec lever = hn::Div(hn::Load(d, fit.l + c), hn::Load(d, fit.w + c));
    const Vec middle = hn::Round(hn::Mul(fit_scale, InverseOrZero(scale)));
    Vec least_error = hn::Set(d, 1e30F), best_scale = zero, best_min = zero;
    for (int i = -kScaleReach; i <= kScaleReach; ++i) {
      const Vec s = Clamp(hn::Add(middle, hn::Set(d, static_cast<float>(i))), zero, scale_top);
      // The fit's optimum, moved along with the scale.
      const Vec optimum = hn::MulAdd(lever, hn::Sub(hn::Mul(s, scale), fit_scale), fit_min);
      const Vec min_middle = hn::Round(hn::Mul(optimum, per_min));
      for (int j = -kMinReach; j <= kMinReach; ++j) {
        const Vec m = Clamp(hn::Add(min_middle, hn::Set(d, static_cast<float>(j))), zero, min_top);
        const Vec error =
            ErrorOf<kGroup>(batch, c, hn::Mul(scale, s), hn::Mul(min_scale, m), levels);
        const auto better = error < least_error;
        least_error = hn::IfThenElse(better, error, least_error);
        best_scale = hn::IfThenElse(better, s, best_scale);
        best_min = hn::IfThenElse(better, m, best_min);
      }
    }
    hn::Store(best_scale, d, scales.scales + c);
    hn::Store(best_min, d, scales.mins + c);
  }
}

template <size_t kGroup>
bool RunBatch(const BestJob& job, const BatchSource& source) {
  const BlockFormat& format = *job.format;
  GroupBatch batch;
  GroupFit fit;
  BatchScales scales = {};
  BatchCodes codes;
  LoadBatch(format, job.measure, source, batch);
  FitGroups<kGroup>(format, batch, fit);
  ChooseBlockScales(format, batch, fit, source.count, scales);
  if (format.has_group_scales()) RefineGroups<kGroup>(format, batch, fit, scales);
  WriteCodes<kGroup>(batch, scales, LinearLevels(format), codes);
  return PackBatch(job, source, batch, scales, codes);
}

bool AffineBatch(const BestJob& job, const BatchSource& source) {
  return job.format->group == 16 ? RunBatch<16>(job, source) : RunBatch<32>(job, source);
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {
HWY_EXPORT(AffineBatch);
bool BestAffineBatch(const BestJob& job, const BatchSource& source) {
  return HWY_DYNAMIC_DISPATCH(AffineBatch)(job, source);
}
}  // namespace trimma
#endif
