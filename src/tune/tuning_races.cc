// A tuning's measurements: the defaults alone, and races of settings beside them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "tune/confirm.h"
#include "tune/pooled.h"
#include "tune/stage.h"
#include "tune/tuning.h"

namespace trimma {
namespace {

constexpr int kRaces = 3;  // of the first step, each in a process of its own
constexpr int kFewestDecoded = 12;
constexpr int kProbedLoads = 2;
constexpr double kMostPace = 10;

}  // namespace

void Tuning::Notice(const SpeedConditions& conditions) {
  disturbance_.segments += conditions.segments;
  disturbance_.discarded += conditions.discarded;
  disturbance_.others_share =
      std::max(disturbance_.others_share, conditions.others_share.value_or(0));
}

Result<std::vector<SpeedTrial>> Tuning::Step(const std::string& name, const std::string& said,
                                             const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options) {
  auto kept = journal_.Find(name, candidates);
  if (kept) {
    // An interrupted run's time counts: otherwise more would be tried than it had begun with.
    step_seconds_ = journal_.SecondsOf(name);
    resumed_seconds_ += step_seconds_;
  } else {
    const double before = Now();
    const auto tell = [&](double share) {
      if (progress_) progress_(said, share);
    };
    TRY(kept, options_.meter ? options_.meter(candidates, options, tell)
                             : MeasureSpeed(candidates, options, tell));
    step_seconds_ = Now() - before;
    journal_.Keep(name, *kept, step_seconds_);
  }
  if (kept->front().error) return *kept->front().error;
  Notice(kept->front().speed.conditions);
  return *kept;
}

// Of a step that begins now: to the budget's end, but for what a process takes around its
// measuring.
double Tuning::MostSeconds() const {
  return std::max(0.0, Left() - costs_.pace * costs_.process_seconds);
}

// The defaults' speed, and what a visit takes, so that the number of candidates can be chosen for
// the budget. The seconds that are needed for one of them, all in all.
Result<double> Tuning::Probe() {
  SpeedOptions speed = StageOptions(options_);
  speed.race = false;
  speed.rounds = kFewestRounds;
  speed.load_repeats = kProbedLoads;
  const double before = Elapsed();
  TRY(const auto trials,
      Step("probe", "measuring the defaults", {{path_, options_.defaults}}, speed));
  const double spent = Elapsed() - before;
  const Speed& defaults = trials[0].speed;
  result_.default_speed = defaults;
  const SpeedSubject itself = {path_, options_.defaults};
  const auto needed_seconds = [&] {
    costs_ = CostsOf(defaults, options_.decode_tokens, options_.defaults.parallel,
                     speed.resident.has_value());
    costs_.starts_each_visit = options_.starts_for_each_visit;
    // The first is to read the file; the other steps time fewer.
    const int loads = options_.meter   ? 1
                      : speed.resident ? 1 + kProbedLoads
                                       : kProbedLoads - StageOptions(options_).load_repeats;
    costs_.process_seconds =
        std::max(0.0, spent - defaults.conditions.seconds - loads * costs_.load_seconds);
    // One candidate beside the defaults: raced, then confirmed; loaded and warmed up each time.
    const double rounds =
        (kFewestRounds + kConfirmRounds) * 2 * VisitSeconds(costs_, Phases::kBoth);
    if (costs_.starts_each_visit) return Elapsed() + rounds;
    return Elapsed() + rounds +
           2 * (costs_.load_seconds + costs_.fill_seconds +
                2 * PrepareSeconds(costs_, itself, itself));
  };
  // Where the model is slow, fewer tokens are decoded in a visit, down to so many that the first
  // ones don't decide.
  double needed = needed_seconds();
  while (needed > options_.budget_seconds && options_.decode_tokens > kFewestDecoded) {
    options_.decode_tokens = std::max(kFewestDecoded, options_.decode_tokens / 2);
    needed = needed_seconds();
  }
  return needed;
}

Error Tuning::TooShortFor(double needed) const {
  const auto of_users = [&](double seconds) {
    return options_.seconds_before + seconds / options_.budget_share;
  };
  return {
      Code::kUsage,
      fmt::format("a budget of {} is too small for one trial of this model here: it "
                  "takes {}{}",
                  FormatSeconds(of_users(options_.budget_seconds)), FormatSeconds(of_users(needed)),
                  options_.budget_share < 1 ? ", with what is kept for later steps" : ""),
      fmt::format("give --budget {}s or more, or a shorter prompt", std::ceil(of_users(needed)))};
}

// Whether it fits beside what was `spent`, which then includes it.
bool Tuning::FitsAfter(double& spent, const Variation& variation, double budget) const {
  const double cost = FewestSeconds(costs_, {path_, options_.defaults},
                                    {path_, variation.settings, variation.phases});
  if (spent + cost > budget) return false;
  spent += cost;
  return true;
}

// What confirming the dearest of them takes: in nine processes, if `most` seconds hold that.
double Tuning::ReserveFor(const std::vector<Variation>& variations, double most) const {
  double reserve = 0;
  for (const Variation& variation : variations) {
    const auto subjects = ConfirmSubjects(path_, options_.defaults, {variation.settings});
    reserve = std::max(reserve, ConfirmSeconds(costs_, subjects, most));
  }
  return reserve;
}

// The next of those that were not tried yet, each only where it could be confirmed afterwards.
std::vector<Variation> Tuning::TakeWhatFits(double budget) {
  double spent = BareRaceSeconds(costs_);
  std::vector<Variation> taken;
  std::erase_if(later_, [&](const Variation& variation) {
    const double most = std::min(budget, Left() - ReserveFor({variation}, 0));
    if (!FitsAfter(spent, variation, most)) return false;
    taken.push_back(variation);
    return true;
  });
  return taken;
}

// One in any case: the budget was seen to hold it.
std::vector<Variation> Tuning::TakeFirst(double budget) {
  for (const double seconds : {budget, Left()}) {
    auto taken = TakeWhatFits(seconds);
    if (!taken.empty()) return taken;
  }
  const SpeedSubject defaults = {path_, options_.defaults};
  const auto cheapest =
      std::min_element(later_.begin(), later_.end(), [&](const Variation& a, const Variation& b) {
        const auto cost = [&](const Variation& v) {
          return FewestSeconds(costs_, defaults, {path_, v.settings, v.phases});
        };
        return cost(a) < cost(b);
      });
  std::vector<Variation> taken = {*cheapest};
  later_.erase(cheapest);
  return taken;
}

void Tuning::LeaveOutWhatTakesTooLong(std::vector<Combination>& combinations, double budget) {
  double spent = BareRaceSeconds(costs_);
  std::erase_if(combinations, [&](const Combination& combination) {
    if (FitsAfter(spent, combination.variation, budget)) return false;
    // Prefill and decode of one bear the same name, and so does what won alone.
    const NotTried item = {combination.variation.what, "no time was left for the combination"};
    const auto same = [&](const NotTried& other) {
      return other.what == item.what && other.why == item.why;
    };
    const auto known = [&](const TuneTrialResult& trial) {
      return trial.variation.what == item.what;
    };
    if (std::none_of(result_.not_tried.begin(), result_.not_tried.end(), same) &&
        std::none_of(result_.trials.begin(), result_.trials.end(), known))
      result_.not_tried.push_back(item);
    return true;
  });
}

// The trials of the variations, without the defaults' own.
Result<std::vector<SpeedTrial>> Tuning::MeasureBeside(const std::string& name,
                                                      const std::string& said,
                                                      const std::vector<Variation>& variations,
                                                      double budget) {
  std::vector<SpeedSubject> candidates = {{path_, options_.defaults, Phases::kBoth}};
  double prepare = StartSeconds(costs_);
  for (const Variation& variation : variations) {
    candidates.push_back({path_, variation.settings, variation.phases});
    prepare += PrepareSeconds(costs_, candidates[0], candidates.back());
  }
  SpeedOptions speed = StageOptions(options_);
  speed.budget_seconds = std::max(0.0, budget - prepare);
  speed.most_seconds = MostSeconds();
  TRY(auto trials, Step(name, said, candidates, speed));
  LearnPace(prepare, trials[0].speed.conditions.seconds);
  // Its figures stand beside those that were taken with it, if any were.
  if (trials[0].speed.prefill_tps.n > 0 && trials[0].speed.decode_tps.n > 0)
    KeepDefaultSpeed(trials[0].speed);
  trials.erase(trials.begin());
  return trials;
}

Result<std::vector<TuneTrialResult>> Tuning::Race(const std::string& name, const std::string& said,
                                                  const std::vector<Variation>& variations,
                                                  double budget) {
  TRY(const auto trials, MeasureBeside(name, said, variations, budget));
  std::vector<TuneTrialResult> judged;
  for (size_t i = 0; i < variations.size(); ++i)
    judged.push_back(JudgeTrial(variations[i], trials[i]));
  return judged;
}

// From what preparing the last step took beside what was computed for it.
void Tuning::LearnPace(double computed, double measuring) {
  // Another engine's starts are within its visits.
  if (options_.meter || computed <= 0) return;
  const double preparing = step_seconds_ - measuring;
  costs_.pace = std::clamp(costs_.pace * preparing / computed, costs_.pace, kMostPace);
}

// Where a step timed no loads, those that were timed before stand.
void Tuning::KeepDefaultSpeed(const Speed& speed) {
  const Spread load = result_.default_speed.load_ms;
  result_.default_speed = speed;
  if (speed.load_ms.n == 0) result_.default_speed.load_ms = load;
}

// Settings that no time was left for before. False: none fits now.
Result<bool> Tuning::RaceLater(std::vector<TuneTrialResult>& trials, double seconds) {
  const std::vector<Variation> variations = TakeWhatFits(seconds);
  if (variations.empty()) return false;
  const double budget = std::min(seconds, Left() - ReserveFor(variations, Left() / 2));
  TRY(const auto more,
      Race(fmt::format("later {}", ++later_races_), "trying more settings", variations, budget));
  trials.insert(trials.end(), more.begin(), more.end());
  result_.trials.insert(result_.trials.end(), more.begin(), more.end());
  return true;
}

// Whoever isn't decided, in another process. False: nobody, or there is no time.
Result<bool> Tuning::RaceAgain(const std::string& name, std::vector<TuneTrialResult>& trials,
                               double seconds) {
  double spent = BareRaceSeconds(costs_);
  std::vector<size_t> places;
  std::vector<Variation> variations;
  for (const size_t i : UndecidedOf(trials)) {
    if (!FitsAfter(spent, trials[i].variation, seconds)) continue;
    places.push_back(i);
    variations.push_back(trials[i].variation);
  }
  if (places.empty()) return false;
  TRY(const auto measured, MeasureBeside(name, "trying settings again", variations, seconds));
  for (size_t i = 0; i < places.size(); ++i)
    trials[places[i]] = Pooled(trials[places[i]], measured[i]);
  return true;
}

Result<std::vector<TuneTrialResult>> Tuning::RaceAlone(const std::vector<Variation>& variations,
                                                       double until) {
  TRY(auto alone, Race("alone", "trying settings", variations, (until - Elapsed()) / kRaces));
  for (int race = 1; race < kRaces; ++race) {
    TRY(const bool raced,
        RaceAgain(fmt::format("alone {}", race + 1), alone, (until - Elapsed()) / (kRaces - race)));
    if (!raced) break;
  }
  return alone;
}

}  // namespace trimma
