// One measurement of one candidate. Only the child process uses this.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "measure/beat.h"
#include "measure/speed_anchor.h"
#include "measure/speed_pool.h"

namespace trimma {

// Whether layers are to be on a card, if there is one.
bool UsesCard(const RuntimeSettings& settings);

class SpeedVisitor {
 public:
  SpeedVisitor(const SpeedOptions& options, Beat& beat);

  // Evaluates until the time settles (speed_anchor.h); returns how often that took.
  Result<int> WarmUp(Resident& resident, const SpeedSubject& subject, bool is_first);

  // Times these phases. The first token after a change of settings isn't timed.
  Result<Visit> Measure(Resident& resident, const SpeedSubject& subject, Phases phases);

  // From now on visits tell what cards use, where there is a meter.
  void WatchEnergy() { meter_ = EnergyMeter::Open(); }

  // Seconds since this visitor was made.
  double Now() const;

 private:
  Status Fill(Resident& resident, int parallel);
  void Return(Resident& resident, int parallel) const;
  Result<double> Prefill(Resident& resident, int n);
  Result<double> Decode(Resident& resident, int parallel, int n);
  const std::vector<Token>& Words(const Model& model, int n);

  SpeedOptions options_;
  Beat& beat_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<EnergyMeter> meter_;
  const Model* words_of_ = nullptr;
  std::vector<Token> words_;
};

}  // namespace trimma
