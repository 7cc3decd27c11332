// Divergence of two next-token distributions, from raw logits.
#pragma once

#include <cstdint>
#include <vector>

#include "base/divergence_interval.h"

namespace trimma {

// One scored position.
struct PositionScore {
  double kld = 0;            // KL(reference || model), nats, over the full vocabulary
  double nll = 0;            // -log p of the token that really follows, under the model
  double reference_nll = 0;  // the same under the reference
  bool same_top = false;     // both think the same token most likely
};

// `reference`, `model`: [vocabulary] logits in 32 bits; sums in double precision. A logit that is
// no number makes all of the score so.
PositionScore ScorePosition(const float* reference, const float* model, int vocabulary,
                            int32_t next_token);
// The same from the definition, number by number: what the fast one is tested against.
PositionScore ScorePositionPlainly(const float* reference, const float* model, int vocabulary,
                                   int32_t next_token);

// Scores gathered chunk by chunk.
class DivergenceSums {
 public:
  // All positions of one chunk, in order.
  void AddChunk(const std::vector<PositionScore>& scores);

  int64_t tokens() const { return static_cast<int64_t>(klds_.size()); }
  int chunks() const { return static_cast<int>(kld_.counts.size()); }
  const ChunkSums& klds() const { return kld_; }  // by chunk
  MeanInterval MeanKld() const;                   // 95 %; chunks are what varies
  double KldQuantile(double q) const;
  double SameTop() const;  // share of positions
  double Perplexity() const;
  double ReferencePerplexity() const;
  MeanInterval PerplexityRatio() const;  // the model's over the reference's, position by position

 private:
  std::vector<double> klds_;
  ChunkSums kld_;
  ChunkSums log_ratio_;  // nll - reference_nll
  int64_t same_top_ = 0;
  double nll_ = 0;
  double reference_nll_ = 0;
};

}  // namespace trimma
