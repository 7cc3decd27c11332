#include "tune/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/units.h"
#include "measure/speed_race.h"
#include "tune/confirm.h"
#include "tune/cost.h"
#include "tune/journal.h"
#include "tune/pooled.h"
#include "tune/question.h"
#include "tune/stage.h"
#include "tune/verdict.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;

// Shares of the budget. Most goes to the first step, which has most candidates; what a step
// leaves, the next may use.
constexpr double kAloneShare = 0.55;
constexpr double kTogetherShare = 0.25;
constexpr int kRaces = 3;  // of the first step, each in a process of its own
constexpr int kFewestDecoded = 12;
constexpr double kLeastJudging = 5;  // seconds

class Tuning {
 public:
  Tuning(const std::string& path, const TuneOptions& options,
         const std::function<void(const std::string&, double)>& progress, TuneJournal journal)
      : path_(path), options_(options), progress_(progress), journal_(std::move(journal)) {}

  Result<TuneResult> Run(const ModelFacts& facts);

 private:
  double Elapsed() const {
    return resumed_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count();
  }
  double Left() const { return options_.budget_seconds - Elapsed(); }
  Result<std::vector<SpeedTrial>> Step(const std::string& name, const std::string& said,
                                       const std::vector<SpeedSubject>& candidates,
                                       const SpeedOptions& options);
  Result<std::vector<SpeedTrial>> MeasureBeside(const std::string& name, const std::string& said,
                                                const std::vector<Variation>& variations,
                                                double budget);
  Result<std::vector<TuneTrialResult>> Race(const std::string& name, const std::string& said,
                                            const std::vector<Variation>& variations,
                                            double budget);
  Result<std::vector<TuneTrialResult>> RaceAlone(const std::vector<Variation>& variations,
                                                 double until);
  Result<bool> RaceAgain(const std::string& name, std::vector<TuneTrialResult>& trials,
                         double seconds);
  Status Probe();
  bool FitsAfter(double& spent, const Variation& variation, double budget) const;
  void LeaveOutWhatTakesTooLong(std::vector<Variation>& variations, double budget);
  void LeaveOutWhatTakesTooLong(std::vector<Combination>& combinations, double budget);
  Result<std::vector<TuneTrialResult>> TryTogether(std::vector<Combination>& combinations,
                                                   double alone_budget);
  Result<bool> KvIsGoodEnough(const RuntimeSettings& settings);
  Status JudgeKv(std::vector<TuneTrialResult>& alone);
  Result<Choice> Confirm(const std::vector<RuntimeSettings>& finalists);
  Result<std::vector<RuntimeSettings>> FindFinalists(std::vector<TuneTrialResult>& alone,
                                                     const std::vector<Combination>& combinations,
                                                     const std::vector<TuneTrialResult>& together);
  void Notice(const SpeedConditions& conditions);

  std::string path_;
  TuneOptions options_;
  const std::function<void(const std::string&, double)>& progress_;
  TuneJournal journal_;
  Clock::time_point start_ = options_.begun.value_or(Clock::now());
  double resumed_seconds_ = 0;  // that the steps which were found had taken
  TuneResult result_;
  TrialCosts costs_;
  Disturbance disturbance_;
};

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
    resumed_seconds_ += journal_.SecondsOf(name);
  } else {
    const auto before = Clock::now();
    const auto tell = [&](double share) {
      if (progress_) progress_(said, share);
    };
    TRY(kept, options_.meter ? options_.meter(candidates, options, tell)
                             : MeasureSpeed(candidates, options, tell));
    journal_.Keep(name, *kept, std::chrono::duration<double>(Clock::now() - before).count());
  }
  if (kept->front().error) return *kept->front().error;
  Notice(kept->front().speed.conditions);
  return *kept;
}

// What a visit takes, so that the number of candidates can be chosen for the budget.
Status Tuning::Probe() {
  SpeedOptions speed = StageOptions(options_);
  speed.race = false;
  speed.rounds = kFewestRounds;
  speed.load_repeats = 2;
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
    // The confirmation times one load less.
    costs_.process_seconds =
        std::max(0.0, spent - defaults.conditions.seconds - costs_.load_seconds);
    // One candidate beside the defaults: raced, then confirmed; loaded and warmed up each time.
    const double visit = VisitSeconds(costs_, Phases::kBoth);
    return Elapsed() + (kFewestRounds + kConfirmRounds) * 2 * visit +
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
  if (needed > options_.budget_seconds) {
    journal_.Remove();
    const auto of_users = [&](double seconds) {
      return options_.seconds_before + seconds / options_.budget_share;
    };
    return Error{
        Code::kUsage,
        fmt::format("a budget of {} is too small for one trial of this model here: it "
                    "takes {}{}",
                    FormatSeconds(of_users(options_.budget_seconds)),
                    FormatSeconds(of_users(needed)),
                    options_.budget_share < 1 ? ", with what is kept for later steps" : ""),
        fmt::format("give --budget {}s or more, or a shorter prompt", std::ceil(of_users(needed)))};
  }
  return {};
}

// Whether it fits beside what was `spent`, which then includes it.
bool Tuning::FitsAfter(double& spent, const Variation& variation, double budget) const {
  const double cost = FewestSeconds(costs_, {path_, options_.defaults},
                                    {path_, variation.settings, variation.phases});
  if (spent + cost > budget) return false;
  spent += cost;
  return true;
}

void Tuning::LeaveOutWhatTakesTooLong(std::vector<Variation>& variations, double budget) {
  double spent = StartSeconds(costs_);
  std::vector<Variation> kept;
  for (const Variation& variation : variations) {
    if (FitsAfter(spent, variation, budget) || kept.empty()) {
      kept.push_back(variation);
    } else {
      result_.not_tried.push_back({variation.what, "no time was left for it"});
    }
  }
  variations = std::move(kept);
}

void Tuning::LeaveOutWhatTakesTooLong(std::vector<Combination>& combinations, double budget) {
  double spent = StartSeconds(costs_);
  std::erase_if(combinations, [&](const Combination& combination) {
    if (FitsAfter(spent, combination.variation, budget)) return false;
    result_.not_tried.push_back({combination.variation.what, "no time was left for it"});
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
  TRY(auto trials, Step(name, said, candidates, speed));
  // Its figures stand beside those that were taken with it, if any were.
  if (trials[0].speed.prefill_tps.n > 0 && trials[0].speed.decode_tps.n > 0)
    result_.default_speed = trials[0].speed;
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

// Whoever isn't decided, in another process. False: nobody, or there is no time.
Result<bool> Tuning::RaceAgain(const std::string& name, std::vector<TuneTrialResult>& trials,
                               double seconds) {
  double spent = StartSeconds(costs_);
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

// As many as fit, and leave time to confirm what they find.
Result<std::vector<TuneTrialResult>> Tuning::TryTogether(std::vector<Combination>& combinations,
                                                         double alone_budget) {
  for (Combination& combination : combinations)
    combination.variation.settings = WithPromptThreads(options_, combination.variation.settings);
  if (combinations.empty()) return std::vector<TuneTrialResult>();
  const RuntimeSettings& one = combinations[0].variation.settings;
  const double reserve =
      ConfirmSeconds(costs_, ConfirmSubjects(path_, options_.defaults, {one, one}), Left());
  const double budget = std::min(Left() - reserve, kTogetherShare * options_.budget_seconds +
                                                       std::max(0.0, alone_budget - Elapsed()));
  LeaveOutWhatTakesTooLong(combinations, budget);
  if (combinations.empty()) return std::vector<TuneTrialResult>();
  std::vector<Variation> variations;
  for (const Combination& combination : combinations) variations.push_back(combination.variation);
  return Race("together", "combining", variations, budget);
}

// A quantised KV cache that looks faster stays only if it changes the answers little enough.
Result<bool> Tuning::KvIsGoodEnough(const RuntimeSettings& settings) {
  if (progress_) progress_("judging the KV cache", 0);
  RuntimeSettings judged = options_.defaults;
  judged.kv_k = settings.kv_k;
  judged.kv_v = settings.kv_v;
  TRY(Judgement measured,
      JudgeQuality({path_, options_.defaults}, {{path_, judged}}, KvJudging(options_, Left())));
  result_.kv_quality = measured.qualities.at(0);
  result_.kv_text = measured.text;
  return result_.kv_quality->mean_kld_high <= options_.max_kv_kld;
}

// One pair of types after the other, the fastest first, until one is good enough. The trials stay
// in the result; those that lose too much only win no more.
Status Tuning::JudgeKv(std::vector<TuneTrialResult>& alone) {
  while (true) {
    const RuntimeSettings shared = SharedWinners(options_.defaults, alone);
    if (SameCache(shared, options_.defaults)) return {};
    const std::string what =
        fmt::format("KV cache {}/{} beyond the first step", shared.kv_k, shared.kv_v);
    if (Left() < kLeastJudging) {
      result_.not_tried.push_back({what, "no time was left to judge what it loses"});
      LeaveOutCache(shared, alone);
      continue;
    }
    const auto good = KvIsGoodEnough(shared);
    if (!good.ok()) {
      if (good.error().code == Code::kInterrupted || good.error().code == Code::kTerminated)
        return good.error();
      result_.notes.push_back(
          "a quantised KV cache is left out, since what it loses could not be judged: " +
          good.error().what);
      std::erase_if(alone, [](const auto& t) { return t.variation.knob == Knob::kKv; });
      return {};
    }
    if (*good) return {};
    result_.not_tried.push_back(
        {what, fmt::format("it loses a mean KL divergence of {:.3g} (95 %: up to {:.3g}) at a "
                           "depth of {} tokens, and {:g} is allowed",
                           result_.kv_quality->mean_kld, result_.kv_quality->mean_kld_high,
                           JudgingDepth(options_), options_.max_kv_kld)});
    LeaveOutCache(shared, alone);
  }
}

Result<Choice> Tuning::Confirm(const std::vector<RuntimeSettings>& finalists) {
  const auto candidates = ConfirmSubjects(path_, options_.defaults, finalists);
  SpeedOptions speed = StageOptions(options_);
  speed.race = false;
  speed.seed = options_.seed + 1;
  // Fixed beforehand: looking at the figures to choose their number would break their certainty.
  const ConfirmPlan plan = PlanConfirmation(costs_, candidates, Left());
  speed.processes = plan.processes;
  speed.rounds = plan.rounds;
  // Where the machine got slower since its costs were measured, the last ones are left out: the
  // clock decides, not the figures.
  speed.min_rounds = std::min(plan.rounds, kConfirmRounds);
  speed.budget_seconds = std::max(0.0, Left());
  if (plan.processes == 1 && !options_.starts_for_each_visit) {
    result_.notes.emplace_back(
        "confirmed in one process: a larger --budget would show how much processes differ");
  }
  TRY(const auto trials, Step("confirm", "confirming", candidates, speed));
  result_.default_speed = trials[0].speed;
  const Choice decision = Decide(options_.defaults, ConfirmationsOf(finalists, trials),
                                 SecondsOf(options_, result_.default_speed));
  result_.best_speed = SpeedOfChoice(decision, trials);
  return decision;
}

// Those that may win. Where nobody does, what is left of the time goes to the undecided once more;
// but a KV cache would have to be judged first.
Result<std::vector<RuntimeSettings>> Tuning::FindFinalists(
    std::vector<TuneTrialResult>& alone, const std::vector<Combination>& combinations,
    const std::vector<TuneTrialResult>& together) {
  const auto find = [&] {
    auto finalists = Finalists(options_.defaults, alone, combinations, together,
                               SecondsOf(options_, result_.default_speed));
    for (RuntimeSettings& settings : finalists) settings = WithPromptThreads(options_, settings);
    return finalists;
  };
  std::vector<RuntimeSettings> finalists = find();
  if (!finalists.empty()) return finalists;
  std::vector<TuneTrialResult> others = alone;
  std::erase_if(others, [](const auto& trial) { return trial.variation.knob == Knob::kKv; });
  double reserve = 0;  // for the dearest of them
  for (const size_t i : UndecidedOf(others)) {
    const auto subjects = ConfirmSubjects(path_, options_.defaults, {others[i].variation.settings});
    reserve = std::max(reserve, ConfirmSeconds(costs_, subjects, Left() / 2));
  }
  TRY(const bool raced, RaceAgain("last", others, Left() - reserve));
  if (!raced) return finalists;
  Renew(alone, others);
  return find();
}

Result<TuneResult> Tuning::Run(const ModelFacts& facts) {
  result_.asked = AskedOf(options_);
  result_.max_kv_kld = options_.max_kv_kld;
  result_.default_settings = options_.defaults;
  if (journal_.IsResumed())
    result_.notes.emplace_back("steps that an interrupted run had finished were not repeated");
  TRY_STATUS(Probe());
  SpaceOptions space_options;
  space_options.defaults = options_.defaults;
  space_options.purpose = options_.purpose;
  space_options.users = options_.users;
  space_options.prompt_tokens = options_.prompt_tokens;
  space_options.machine = {options_.cores, options_.threads, options_.available_bytes,
                           options_.has_gpu, options_.other.placed};
  space_options.why_no_kv = options_.why_no_kv;
  Space space = MakeSpace(space_options, facts);
  result_.not_tried = space.not_tried;
  result_.not_tried.insert(result_.not_tried.end(), options_.other.not_tried.begin(),
                           options_.other.not_tried.end());
  const double alone_budget = kAloneShare * options_.budget_seconds;
  LeaveOutWhatTakesTooLong(space.variations, alone_budget - Elapsed());
  std::vector<TuneTrialResult> alone;
  if (!space.variations.empty()) {
    TRY(alone, RaceAlone(space.variations, alone_budget));
  }
  result_.trials = alone;
  TRY_STATUS(JudgeKv(alone));
  std::vector<Combination> combinations = Combinations(options_.defaults, alone);
  TRY(const auto together, TryTogether(combinations, alone_budget));
  result_.trials.insert(result_.trials.end(), together.begin(), together.end());
  TRY(const auto finalists, FindFinalists(alone, combinations, together));
  Renew(result_.trials, alone);
  Choice decision;
  decision.settings = options_.defaults;
  if (!finalists.empty()) {
    TRY(decision, Confirm(finalists));
  }
  if (decision.settings == options_.defaults) {
    // Those that were left, and that no finalist stands for, may be better by what their intervals
    // allow.
    for (const TuneTrialResult& trial : alone) {
      const Phases phases = trial.variation.phases;
      const bool covered = std::any_of(finalists.begin(), finalists.end(), [&](const auto& one) {
        return Changes(one, options_.defaults, phases);
      });
      if (trial.left && !covered) decision.may_hide.Add(phases, std::log(trial.gain.high));
    }
    if (const Status busy = CheckNotBusy(decision.may_hide, disturbance_); !busy.ok()) {
      // What was measured under that load must not answer the next call.
      journal_.Remove();
      return busy.error();
    }
    result_.best_speed = result_.default_speed;
  }
  result_.best_settings = WithPromptThreads(options_, decision.settings);
  result_.gain = decision.gain;
  result_.prefill_gain = decision.prefill;
  result_.decode_gain = decision.decode;
  result_.verdict = VerdictOf(decision, options_, SecondsOf(options_, result_.default_speed));
  for (std::string& note : NotesOn(disturbance_)) result_.notes.push_back(std::move(note));
  journal_.Remove();
  result_.seconds = Elapsed();
  return result_;
}

}  // namespace

Result<TuneResult> Tune(const std::string& model_path, const TuneOptions& options,
                        const std::function<void(const std::string&, double)>& progress) {
  TRY(const GgufFile file, ReadGguf(model_path));
  TRY(const Json question, TuneQuestion(model_path, options));
  Tuning tuning(model_path, options, progress, TuneJournal(options.journal_directory, question));
  return tuning.Run(FactsOf(file, options.prompt_tokens, options.depth));
}

}  // namespace trimma
