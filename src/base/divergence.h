// Divergence of two next-token distributions, from raw logits.
#pragma once

#include <cstdint>
#include <vector>

#include "base/stats.h"

namespace trimma {

// One scored position.
struct PositionScore {
  double kld = 0;            // KL(reference || model), nats, over the full vocabulary
  double nll = 0;            // -log p of the token that really follows, under the model
  double reference_nll = 0;  // the same under the reference
  bool same_top = false;     // both think the same token most likely
};

// `reference`, `model`: [vocabulary] logits in 32 bits; sums in double precision.
PositionScore ScorePosition(const float* reference, const float* model, int vocabulary,
                            int32_t next_token);

// Scores gathered chunk by chunk.
class DivergenceSums {
 public:
  // All positions of one chunk, in order.
  void AddChunk(const std::vector<PositionScore>& scores);

  int64_t tokens() const { return static_cast<int64_t>(klds_.size()); }
  int chunks() const { return static_cast<int>(chunk_sums_.size()); }
  MeanInterval MeanKld() const;  // chunks are resampled whole
  double KldQuantile(double q) const;
  double SameTop() const;  // share of positions
  double Perplexity() const;
  double ReferencePerplexity() const;

 private:
  std::vector<double> klds_;
  std::vector<double> chunk_sums_;
  std::vector<int64_t> chunk_counts_;
  int64_t same_top_ = 0;
  double nll_ = 0;
  double reference_nll_ = 0;
};

}  // namespace trimma
