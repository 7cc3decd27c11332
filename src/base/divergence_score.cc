// ScorePosition in vectors: two passes over each row of logits. With a vocabulary of 262 144 this
// is what keeps a lockstep run as fast as its forward passes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/divergence.h"
#include "base/result.h"

// As the quantiser's kernels: portable code, AVX2 and AVX-512 on x86-64, NEON on 64-bit Arm.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE_256 | HWY_SVE2 | HWY_SVE2_128 | HWY_RVV)
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "base/divergence_score.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
// Terms that are added up in 32 bits before the sum is taken over in 64: the error that this leaves
// is that of a few additions.
constexpr size_t kRun = 32;

// The largest logit.
float Largest(const float* logits, size_t n) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  if (n < lanes) return *std::max_element(logits, logits + n);
  auto a = hn::LoadU(d, logits);
  auto b = a;
  size_t i = lanes;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    a = hn::Max(a, hn::LoadU(d, logits + i));
    b = hn::Max(b, hn::LoadU(d, logits + i + lanes));
  }
  a = hn::Max(hn::Max(a, b), hn::LoadU(d, logits + n - lanes));
  if (i + lanes <= n) a = hn::Max(a, hn::LoadU(d, logits + i));
  return hn::GetLane(hn::MaxOfLanes(d, a));
}

// Where it stands first.
size_t FirstOf(const float* logits, size_t n, float value) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  const auto wanted = hn::Set(d, value);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const intptr_t at = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, logits + i), wanted));
    if (at >= 0) return i + static_cast<size_t>(at);
  }
  while (i < n && logits[i] != value) ++i;
  return i == n ? 0 : i;
}

// Adds up in 32 bits for a while, then in 64.
class Total {
 public:
  Total() : run_(hn::Zero(Floats())) {}
  void Add(hn::Vec<Floats> terms) { run_ = hn::Add(run_, terms); }
  void EndRun() {
    sum_ += hn::GetLane(hn::SumOfLanes(Floats(), run_));
    run_ = hn::Zero(Floats());
  }
  double sum() const { return sum_; }

 private:
  hn::Vec<Floats> run_;
  double sum_ = 0;
};

// Calls add(reference, model) for all of both rows, and end_run() after every few vectors. The rest
// that fills no vector is filled up with words that both rule out.
template <class Add, class EndRun>
HWY_INLINE void ForEach(const float* reference, const float* model, size_t n, const Add& add,
                        const EndRun& end_run) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  while (i + lanes <= n) {
    const size_t end = std::min(n, i + kRun * lanes);
    for (; i + lanes <= end; i += lanes) add(hn::LoadU(d, reference + i), hn::LoadU(d, model + i));
    end_run();
  }
  if (i == n) return;
  HWY_ALIGN float rest[2][hn::MaxLanes(Floats())];
  std::fill_n(&rest[0][0], 2 * hn::MaxLanes(d), -std::numeric_limits<float>::infinity());
  std::copy(reference + i, reference + n, rest[0]);
  std::copy(model + i, model + n, rest[1]);
  add(hn::LoadU(d, rest[0]), hn::LoadU(d, rest[1]));
  end_run();
}

// exp(d) - 1 - d for |d| < 1/2, to a few units in the last place.
HWY_INLINE hn::Vec<Floats> SmallPhi(hn::Vec<Floats> x) {
  const Floats d;
  auto series = hn::Set(d, 1.0F / 40320);
  for (const float factor : {1.0F / 5040, 1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 1.0F / 2})
    series = hn::MulAdd(series, x, hn::Set(d, factor));
  return hn::Mul(series, hn::Mul(x, x));
}

PositionScore Score(const float* reference, const float* model, int vocabulary, int next_token) {
  const Floats d;
  const auto n = static_cast<size_t>(vocabulary);
  const float reference_max = Largest(reference, n);
  const float model_max = Largest(model, n);
  const auto p_max = hn::Set(d, reference_max);
  const auto q_max = hn::Set(d, model_max);

  Total p_total;
  Total q_total;
  auto not_a_number = hn::FirstN(d, 0);
  ForEach(
      reference, model, n,
      [&](hn::Vec<Floats> p, hn::Vec<Floats> q) HWY_ATTR {
        p = hn::Sub(p, p_max);
        q = hn::Sub(q, q_max);
        not_a_number = hn::Or(not_a_number, hn::Or(hn::IsNaN(p), hn::IsNaN(q)));
        p_total.Add(hn::Exp(d, p));
        q_total.Add(hn::Exp(d, q));
      },
      [&]() HWY_ATTR {
        p_total.EndRun();
        q_total.EndRun();
      });
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (!hn::AllFalse(d, not_a_number)) return {nan, nan, nan, false};

  const double p_log = reference_max + std::log(p_total.sum());
  const double q_log = model_max + std::log(q_total.sum());
  const auto p_scale = hn::Set(d, static_cast<float>(1 / p_total.sum()));
  const auto q_scale = hn::Set(d, static_cast<float>(1 / q_total.sum()));
  const auto shift = hn::Set(d, static_cast<float>(q_log - p_log));
  const auto zero = hn::Zero(d);
  Total kld;
  ForEach(
      reference, model, n,
      [&](hn::Vec<Floats> p, hn::Vec<Floats> q) HWY_ATTR {
        const auto delta = hn::Sub(hn::Sub(q, p), shift);
        const auto p_share = hn::Mul(hn::Exp(d, hn::Sub(p, p_max)), p_scale);
        const auto q_share = hn::Mul(hn::Exp(d, hn::Sub(q, q_max)), q_scale);
        const auto small = hn::Mul(p_share, SmallPhi(delta));
        const auto large = hn::Sub(hn::Sub(q_share, p_share), hn::Mul(p_share, delta));
        const auto term = hn::IfThenElse(hn::Lt(hn::Abs(delta), hn::Set(d, 0.5F)), small, large);
        // What the reference rules out has no d.
        kld.Add(hn::IfThenElse(hn::Gt(p_share, zero), term, q_share));
      },
      [&]() HWY_ATTR { kld.EndRun(); });
  return {std::max(kld.sum(), 0.0), q_log - model[next_token], p_log - reference[next_token],
          FirstOf(reference, n, reference_max) == FirstOf(model, n, model_max)};
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {
HWY_EXPORT(Score);
PositionScore ScorePosition(const float* reference, const float* model, int vocabulary,
                            int32_t next_token) {
  CHECK(next_token >= 0 && next_token < vocabulary);
  return HWY_DYNAMIC_DISPATCH(Score)(reference, model, vocabulary, next_token);
}
}  // namespace trimma
#endif
