#include "tune/cost.h"

#include <algorithm>

namespace trimma {
namespace {

// Of visits, one in five is the anchor's.
constexpr double kAnchorShare = 0.25;
// Warming up takes two short evaluations, about one visit together.
constexpr double kWarmUpVisits = 1;
// A load is timed once, then the model is loaded to stay; where the card holds one only, none is
// timed by itself.
constexpr double kLoads = 2;
constexpr double kLoadsOfOneResident = 1;

}  // namespace

TrialCosts CostsOf(const Speed& defaults, int decode_tokens, int parallel, bool one_resident) {
  TrialCosts costs;
  costs.one_resident = one_resident;
  const double steps = static_cast<double>(parallel) / defaults.decode_tps.median;
  costs.prefill_seconds = defaults.prompt_tokens / defaults.prefill_tps.median;
  costs.decode_seconds = decode_tokens * steps;
  costs.load_seconds = defaults.load_ms.median / 1000;
  costs.fill_seconds = defaults.depth * parallel / defaults.prefill_tps.median;
  const size_t visits = std::max(defaults.prefill_samples.size(), defaults.decode_samples.size());
  if (visits > 0) {
    const double whole = defaults.conditions.seconds / static_cast<double>(visits);
    costs.around_seconds =
        std::max(0.0, whole - costs.prefill_seconds - defaults.decode_tokens * steps);
  }
  return costs;
}

double VisitSeconds(const TrialCosts& costs, Phases phases) {
  const double prefill = phases == Phases::kDecode ? 0 : costs.prefill_seconds;
  const double decode = phases == Phases::kPrefill ? 0 : costs.decode_seconds;
  return prefill + decode + costs.around_seconds;
}

double StartSeconds(const TrialCosts& costs) {
  if (costs.starts_each_visit) return 0;
  // The first candidate of a process is warm after about three visits' time.
  constexpr double kFirstWarmUpVisits = 3;
  return costs.pace * std::max(costs.process_seconds,
                               costs.load_seconds + costs.fill_seconds +
                                   kFirstWarmUpVisits * VisitSeconds(costs, Phases::kBoth));
}

double BareRaceSeconds(const TrialCosts& costs) {
  const double anchor =
      costs.starts_each_visit ? kFewestRounds * VisitSeconds(costs, Phases::kBoth) : 0;
  return StartSeconds(costs) + anchor;
}

double PrepareSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                      const SpeedSubject& candidate) {
  if (costs.starts_each_visit) return 0;
  double seconds = kWarmUpVisits * VisitSeconds(costs, candidate.phases);
  if (!SameContext(defaults, candidate)) seconds += costs.fill_seconds;
  if (!SamePlacement(defaults, candidate))
    seconds += (costs.one_resident ? kLoadsOfOneResident : kLoads) * costs.load_seconds;
  return costs.pace * seconds;
}

double SwitchSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                     const SpeedSubject& candidate) {
  if (costs.starts_each_visit || !costs.one_resident || SameContext(defaults, candidate)) return 0;
  const double load = SamePlacement(defaults, candidate) ? 0 : costs.load_seconds;
  return load + costs.fill_seconds + kWarmUpVisits * VisitSeconds(costs, candidate.phases);
}

double RoundSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                    const SpeedSubject& candidate) {
  if (costs.starts_each_visit) return VisitSeconds(costs, candidate.phases);
  return VisitSeconds(costs, candidate.phases) + kAnchorShare * VisitSeconds(costs, Phases::kBoth) +
         (1 + kAnchorShare) * SwitchSeconds(costs, defaults, candidate);
}

double FewestSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                     const SpeedSubject& candidate) {
  return PrepareSeconds(costs, defaults, candidate) +
         kFewestRounds * RoundSeconds(costs, defaults, candidate);
}

}  // namespace trimma
