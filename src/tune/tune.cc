#include "tune/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "tune/confirm.h"
#include "tune/pooled.h"
#include "tune/question.h"
#include "tune/stage.h"
#include "tune/tuning.h"

namespace trimma {
namespace {

// Shares of the budget. Most goes to the first step, which has most candidates; what a step
// leaves, the next may use.
constexpr double kAloneShare = 0.55;
constexpr double kTogetherShare = 0.25;

}  // namespace

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
    if (Left() < KvJudgingSeconds(options_, result_.default_speed)) {
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

// Two where the time holds enough rounds of both: of too few nothing is proven, however large it
// is.
std::vector<RuntimeSettings> Tuning::WhoseRoundsFit(std::vector<RuntimeSettings> finalists) {
  const auto takes = [&] {
    return ConfirmSeconds(costs_, ConfirmSubjects(path_, options_.defaults, finalists), Left());
  };
  if (finalists.size() < 2 || takes() <= Left()) return finalists;
  result_.not_tried.push_back({"confirming " + Difference(options_.defaults, finalists[1]),
                               "no time was left for it beside what promises more"});
  finalists.resize(1);
  return finalists;
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
  // Where it takes longer than computed, the last ones are left out: the clock decides, not the
  // figures.
  speed.min_rounds = std::min(plan.rounds, kConfirmRounds);
  speed.budget_seconds = std::max(0.0, Left());
  speed.most_seconds = MostSeconds();
  if (plan.processes == 1 && !options_.starts_for_each_visit) {
    result_.notes.emplace_back(
        "confirmed in one process: a larger --budget would show how much processes differ");
  }
  TRY(const auto trials, Step("confirm", "confirming", candidates, speed));
  // Of several processes each gives one figure; in one, drifted stretches gave none.
  const Speed& defaults = trials[0].speed;
  const int done = plan.processes > 1 ? defaults.prefill_tps.n
                                      : static_cast<int>(trials[1].log_gains.size()) +
                                            defaults.conditions.discarded;
  if (!trials[1].error && done < kConfirmRounds) {
    result_.notes.push_back(
        fmt::format("the time held {} of the {} rounds that a confirmation has at least", done,
                    kConfirmRounds));
  }
  KeepDefaultSpeed(trials[0].speed);
  const Choice decision = Decide(options_.defaults, ConfirmationsOf(finalists, trials),
                                 SecondsOf(options_, result_.default_speed));
  result_.best_speed = SpeedOfChoice(decision, trials);
  // Of the same placement.
  if (result_.best_speed.load_ms.n == 0) result_.best_speed.load_ms = result_.default_speed.load_ms;
  return decision;
}

// Those that may win. Where nobody does, what is left of the time goes to what wasn't tried yet,
// then to the undecided once more; but a KV cache would have to be judged first.
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
  for (bool raced = true; raced && finalists.empty(); finalists = find()) {
    std::vector<Variation> caches;
    const auto is_cache = [](const Variation& variation) { return variation.knob == Knob::kKv; };
    std::copy_if(later_.begin(), later_.end(), std::back_inserter(caches), is_cache);
    std::erase_if(later_, is_cache);
    TRY(raced, RaceLater(alone, Left()));
    later_.insert(later_.end(), caches.begin(), caches.end());
  }
  if (!finalists.empty()) return finalists;
  std::vector<TuneTrialResult> others = alone;
  std::erase_if(others, [](const auto& trial) { return trial.variation.knob == Knob::kKv; });
  std::vector<Variation> undecided;
  for (const size_t i : UndecidedOf(others)) undecided.push_back(others[i].variation);
  const double reserve = ReserveFor(undecided, Left() / 2);
  TRY(const bool raced, RaceAgain("last", others, Left() - reserve));
  if (!raced) return finalists;
  Renew(alone, others);
  return find();
}

// What may be tried, into later_.
void Tuning::FindSpace(const ModelFacts& facts) {
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
  later_ = std::move(space.variations);
}

// What every end has.
void Tuning::Finish() {
  for (const Variation& variation : later_)
    result_.not_tried.push_back({variation.what, "no time was left for it"});
  for (std::string& note : NotesOn(disturbance_)) result_.notes.push_back(std::move(note));
  journal_.Remove();
  result_.seconds = Elapsed();
}

TuneResult Tuning::Kept(const Error& why) {
  result_.best_settings = options_.defaults;
  result_.best_speed = result_.default_speed;
  result_.gain = result_.prefill_gain = result_.decode_gain = {1, 1, 1};
  result_.verdict = "the defaults are kept, no other setting was tried: " + why.what;
  result_.too_short = why;
  Finish();
  return result_;
}

Result<TuneResult> Tuning::Run(const ModelFacts& facts) {
  result_.asked = AskedOf(options_);
  result_.max_kv_kld = options_.max_kv_kld;
  result_.default_settings = options_.defaults;
  if (journal_.IsResumed())
    result_.notes.emplace_back("steps that an interrupted run had finished were not repeated");
  TRY(const double needed, Probe());
  FindSpace(facts);
  if (needed > options_.budget_seconds) {
    const Error short_of_time = TooShortFor(needed);
    if (options_.keeps_where_short) return Kept(short_of_time);
    journal_.Remove();
    return short_of_time;
  }
  const double alone_budget = kAloneShare * options_.budget_seconds;
  std::vector<TuneTrialResult> alone;
  if (!later_.empty()) {
    const auto first = TakeFirst(alone_budget - Elapsed());
    TRY(alone,
        RaceAlone(first, std::min(alone_budget, options_.budget_seconds - ReserveFor(first, 0))));
  }
  result_.trials = alone;
  for (bool raced = true; raced;) {
    TRY(raced, RaceLater(alone, alone_budget - Elapsed()));
  }
  TRY_STATUS(JudgeKv(alone));
  std::vector<Combination> combinations = Combinations(options_.defaults, alone);
  TRY(const auto together, TryTogether(combinations, alone_budget));
  result_.trials.insert(result_.trials.end(), together.begin(), together.end());
  TRY(auto finalists, FindFinalists(alone, combinations, together));
  finalists = WhoseRoundsFit(std::move(finalists));
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
  result_.verdict =
      VerdictOf(decision, options_, SecondsOf(options_, result_.default_speed), later_.size());
  Finish();
  return result_;
}

Result<TuneResult> Tune(const std::string& model_path, const TuneOptions& options,
                        const std::function<void(const std::string&, double)>& progress) {
  TRY(const GgufFile file, ReadGguf(model_path));
  TRY(const Json question, TuneQuestion(model_path, options));
  Tuning tuning(model_path, options, progress, TuneJournal(options.journal_directory, question));
  return tuning.Run(FactsOf(file, options.prompt_tokens, options.depth));
}

}  // namespace trimma
