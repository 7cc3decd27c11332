#include "tune/pooled.h"

#include <algorithm>

namespace trimma {

bool IsUndecided(const TuneTrialResult& trial) {
  return trial.left && !trial.error &&
         Compare({trial.gain.high, trial.gain.high, trial.gain.high}) == TrialOutcome::kFaster;
}

std::vector<size_t> UndecidedOf(const std::vector<TuneTrialResult>& trials) {
  std::vector<size_t> places;
  for (size_t i = 0; i < trials.size(); ++i)
    if (IsUndecided(trials[i])) places.push_back(i);
  std::sort(places.begin(), places.end(), [&](size_t a, size_t b) {
    const double gain_a = trials[a].gain.mean;
    const double gain_b = trials[b].gain.mean;
    return gain_a != gain_b ? gain_a > gain_b : a < b;
  });
  return places;
}

TuneTrialResult Pooled(const TuneTrialResult& before, const SpeedTrial& more) {
  SpeedTrial both = more;
  both.log_gains.insert(both.log_gains.begin(), before.log_gains.begin(), before.log_gains.end());
  return JudgeTrial(before.variation, both);
}

void Renew(std::vector<TuneTrialResult>& all, const std::vector<TuneTrialResult>& newer) {
  for (TuneTrialResult& trial : all) {
    for (const TuneTrialResult& other : newer) {
      const Variation& a = other.variation;
      const Variation& b = trial.variation;
      // What was tried together may bear the same name, in one phase.
      if (a.what == b.what && a.phases == b.phases && a.settings == b.settings) trial = other;
    }
  }
}

}  // namespace trimma
