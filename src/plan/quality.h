// How much quality a mix of types is expected to cost, before anything is quantised.
//
// The figure is the mean KL divergence (nats a token) from the file that the plan is made of: how
// far the probabilities of the next word move, 0 being not at all. For a source that is quantised
// already, that is on top of what the file lost before.
//
// In order of trust:
//   1. measured on this machine for exactly this mix of this file;
//   2. the published ladder of types (quality_fit.h), anchored where another type of this file was
//      measured: about 1.9 times either way;
//   3. the ladder, anchored in published figures of the same architecture and size: about 3 times;
//   4. the ladder at this size: about 4 times either way, since models differ that much.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/estimate.h"
#include "plan/measured_quality.h"
#include "plan/pricing.h"

namespace trimma {

class LossTable {
 public:
  // `importance`: whether mixes would be made with importance data, as `trimma optimize` does.
  // Reads nothing but `known`. Keeps no reference to either argument.
  static LossTable For(const GgufFile& file, const MeasuredQualities& known,
                       bool importance = true);

  // nullopt where nothing is known of one of the types. A few microseconds; with measurements of
  // this file in the store, about 50.
  std::optional<Estimate> Loss(const Mix& mix, const std::string& kv_k,
                               const std::string& kv_v) const;
  std::optional<Estimate> WeightsLoss(const Mix& mix) const;
  std::optional<Estimate> KvLoss(const std::string& kv_k, const std::string& kv_v) const;

  // A vendor's variant trained to be quantised ("QAT Q4_0"): nearer to the original than rounding
  // alone would be, by an unknown amount, and trained further, so that even a better model would
  // show a divergence. From an eighth to twice the loss of plain Q4_0.
  std::optional<Estimate> VendorQatLoss() const;

  // One sentence for notes: what the figures rest on.
  const std::string& basis() const { return basis_; }
  // What this very file lost against its own source, where that was measured here.
  const std::optional<Estimate>& lost_already() const { return lost_already_; }

 private:
  std::optional<Estimate> Prior(const std::string& recipe, double share) const;
  const MeasuredLoss* Measured(const std::string& types, const std::string& kv_k,
                               const std::string& kv_v) const;

  GgufFile tensors_;  // names, types and shapes only
  std::string own_types_;
  double parameters_ = 0;
  bool importance_ = true;
  bool quantised_ = false;
  std::vector<MeasuredLoss> measured_;  // against this file
  double effect_ = 0;                   // of this model, in ln
  double sd_ = 0;                       // of the prior, in ln
  std::string basis_;
  std::optional<Estimate> lost_already_;
};

}  // namespace trimma
