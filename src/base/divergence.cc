#include "base/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/result.h"

namespace trimma {
namespace {

struct Softmax {
  float max = 0;
  int top = 0;
  double log_sum = 0;  // log of the sum of exp(logit - max)
};

Softmax SoftmaxOf(const float* logits, int n) {
  Softmax s;
  s.max = logits[0];
  for (int i = 1; i < n; ++i) {
    if (logits[i] > s.max) s.max = logits[i], s.top = i;
  }
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += std::exp(logits[i] - s.max);
  s.log_sum = std::log(sum);
  return s;
}

}  // namespace

PositionScore ScorePositionPlainly(const float* reference, const float* model, int vocabulary,
                                   int32_t next_token) {
  CHECK(next_token >= 0 && next_token < vocabulary);
  const Softmax p = SoftmaxOf(reference, vocabulary);
  const Softmax q = SoftmaxOf(model, vocabulary);
  const double shift_p = p.max + p.log_sum;
  const double shift_q = q.max + q.log_sum;
  double kld = 0;
  for (int i = 0; i < vocabulary; ++i) {
    const double log_p = reference[i] - shift_p;
    // exp of less than -40 adds nothing that double precision keeps beside the rest.
    if (log_p > -40) {
      kld +=
          static_cast<double>(std::exp(static_cast<float>(log_p))) * (log_p - (model[i] - shift_q));
    }
  }
  // Rounding may leave a tiny negative number where the two are equal.
  return {std::max(kld, 0.0), shift_q - model[next_token], shift_p - reference[next_token],
          p.top == q.top};
}

void DivergenceSums::AddChunk(const std::vector<PositionScore>& scores) {
  double kld = 0;
  double log_ratio = 0;
  for (const PositionScore& score : scores) {
    klds_.push_back(score.kld);
    kld += score.kld;
    log_ratio += score.nll - score.reference_nll;
    nll_ += score.nll;
    reference_nll_ += score.reference_nll;
    same_top_ += score.same_top ? 1 : 0;
  }
  kld_.Add(kld, static_cast<double>(scores.size()));
  log_ratio_.Add(log_ratio, static_cast<double>(scores.size()));
}

MeanInterval DivergenceSums::MeanKld() const { return PositiveMean(kld_); }

double DivergenceSums::KldQuantile(double q) const {
  std::vector<double> sorted = klds_;
  std::sort(sorted.begin(), sorted.end());
  return Quantile(sorted, q);
}

double DivergenceSums::SameTop() const {
  return static_cast<double>(same_top_) / static_cast<double>(tokens());
}
double DivergenceSums::Perplexity() const { return std::exp(nll_ / static_cast<double>(tokens())); }
double DivergenceSums::ReferencePerplexity() const {
  return std::exp(reference_nll_ / static_cast<double>(tokens()));
}

MeanInterval DivergenceSums::PerplexityRatio() const {
  const MeanInterval log_ratio = AnyMean(log_ratio_);
  return {std::exp(log_ratio.mean), std::exp(log_ratio.low), std::exp(log_ratio.high)};
}

}  // namespace trimma
