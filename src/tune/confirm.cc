#include "tune/confirm.h"

#include <algorithm>
#include <cmath>

namespace trimma {
namespace {

constexpr int kMostRounds = 40;
constexpr double kMostRoundsOfProcess = 4;
// From there on an interval shrinks by less than a tenth for a third more of them.
constexpr int kMostProcesses = 25;

struct Cost {
  double start = 0;  // of a process, before its first round
  double round = 0;
};

Cost CostOf(const TrialCosts& costs, const std::vector<SpeedSubject>& subjects) {
  const double visit = VisitSeconds(costs, Phases::kBoth);
  Cost cost = {StartSeconds(costs), 0};
  // The anchor's visit stands at the end of a round; what was changed before is changed back.
  double back = 0;
  cost.round = visit;
  for (size_t i = 1; i < subjects.size(); ++i) {
    const double its = VisitSeconds(costs, subjects[i].phases);
    // A finalist's two candidates share what is loaded, and a visit that is a start.
    if (i % 2 == 0) {
      cost.start += costs.starts_each_visit ? 0 : its;
      cost.round += costs.starts_each_visit ? its - costs.around_seconds : its;
      continue;
    }
    cost.round += its;
    cost.start += PrepareSeconds(costs, subjects[0], subjects[i]);
    const double there = SwitchSeconds(costs, subjects[0], subjects[i]);
    cost.round += there;
    back = std::max(back, there);
  }
  cost.round += back;
  return cost;
}

}  // namespace

std::vector<SpeedSubject> ConfirmSubjects(const std::string& path, const RuntimeSettings& defaults,
                                          const std::vector<RuntimeSettings>& finalists) {
  std::vector<SpeedSubject> subjects = {{path, defaults, Phases::kBoth}};
  for (const RuntimeSettings& settings : finalists) {
    subjects.push_back({path, settings, Phases::kPrefill});
    subjects.push_back({path, settings, Phases::kDecode});
  }
  return subjects;
}

ConfirmPlan PlanConfirmation(const TrialCosts& costs, const std::vector<SpeedSubject>& subjects,
                             double seconds) {
  const Cost cost = CostOf(costs, subjects);
  const double rounds = (seconds / kConfirmRounds - cost.start) / cost.round;
  if (rounds >= 1) {
    // Samples of a process scatter about as much as processes do; then the square root of what a
    // start costs in rounds makes the interval smallest for the time.
    const double best = std::clamp(std::sqrt(cost.start / cost.round), 1.0, kMostRoundsOfProcess);
    auto each = static_cast<int>(std::min(rounds, std::round(best)));
    const auto processes = static_cast<int>(
        std::min(seconds / (cost.start + each * cost.round), 1.0 * kMostProcesses));
    if (processes == kMostProcesses) {
      const double more = (seconds / kMostProcesses - cost.start) / cost.round;
      each = static_cast<int>(std::min(more, kMostRoundsOfProcess));
    }
    return {processes, processes * each};
  }
  // Loading it so often would take too long.
  const double in_one = (seconds - cost.start) / cost.round;
  return {1, static_cast<int>(std::clamp(in_one, 1.0 * kConfirmRounds, 1.0 * kMostRounds))};
}

double ConfirmSeconds(const TrialCosts& costs, const std::vector<SpeedSubject>& subjects,
                      double seconds) {
  const Cost cost = CostOf(costs, subjects);
  const double in_nine = kConfirmRounds * (cost.start + cost.round);
  return in_nine <= seconds ? in_nine : cost.start + kConfirmRounds * cost.round;
}

std::vector<Confirmation> ConfirmationsOf(const std::vector<RuntimeSettings>& finalists,
                                          const std::vector<SpeedTrial>& trials) {
  std::vector<Confirmation> confirmations;
  for (size_t i = 0; i < finalists.size(); ++i) {
    const SpeedTrial& prefill = trials[1 + 2 * i];
    const SpeedTrial& decode = trials[2 + 2 * i];
    // Without samples nothing is proven; what failed in one phase can't be taken for the other.
    const bool failed = prefill.error || decode.error;
    confirmations.push_back({finalists[i], failed ? std::vector<double>() : prefill.log_gains,
                             failed ? std::vector<double>() : decode.log_gains});
  }
  return confirmations;
}

Speed SpeedOfChoice(const Choice& choice, const std::vector<SpeedTrial>& trials) {
  Speed speed = trials[0].speed;
  const Speed& prefill = trials[1 + 2 * choice.finalist].speed;
  const Speed& decode = trials[2 + 2 * choice.finalist].speed;
  if (choice.prefill.mean == 1 && choice.decode.mean == 1) return speed;
  speed.sample_seconds.clear();
  speed.load_ms = prefill.load_ms;
  if (choice.prefill.mean != 1) {
    speed.prefill_tps = prefill.prefill_tps;
    speed.ttft_ms = prefill.ttft_ms;
    speed.prefill_samples = prefill.prefill_samples;
    speed.prefill_energy = prefill.prefill_energy;
  }
  if (choice.decode.mean != 1) {
    speed.decode_tps = decode.decode_tps;
    speed.decode_samples = decode.decode_samples;
    speed.decode_energy = decode.decode_energy;
  }
  return speed;
}

}  // namespace trimma
