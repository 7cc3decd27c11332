#include "tune/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/units.h"
#include "measure/speed_race.h"
#include "tune/journal.h"
#include "tune/question.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;

// Shares of the budget. Most goes to the first step, which has most candidates; what a step
// leaves, the next may use.
constexpr double kAloneShare = 0.55;
constexpr double kTogetherShare = 0.25;
constexpr int kMaxRounds = 400;
constexpr int kMinRounds = 3;  // as a race's first look
constexpr int kMaxConfirmRounds = 40;
constexpr double kMaxRoundsOfProcess = 4;
constexpr double kFirstWarmUpVisits = 3;
constexpr int kFewestDecoded = 12;
// Of visits, one in five is the anchor's.
constexpr double kWithAnchor = 1.25;
// Warming up takes two short evaluations, about one visit together.
constexpr double kWarmUpVisits = 1;
// A thread count changes decoding by 50 % where it matters (docs/measuring.md): where not even that
// could be told, nothing was.
const double kNothingTold = std::log(1.5);
// A quarter of the processors busy with something else.
constexpr double kBusyShare = 0.25;
constexpr double kNoticedShare = 0.05;

class Tuning {
 public:
  Tuning(const std::string& path, const TuneOptions& options,
         const std::function<void(const std::string&, double)>& progress, TuneJournal journal)
      : path_(path), options_(options), progress_(progress), journal_(std::move(journal)) {}

  Result<TuneResult> Run(const ModelFacts& facts);

 private:
  double Elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double Left() const { return options_.budget_seconds - Elapsed(); }
  SpeedOptions StageOptions() const;
  PhaseSeconds SecondsOf(const Speed& speed) const;
  Result<std::vector<SpeedTrial>> Step(const std::string& name, const std::string& said,
                                       const std::vector<SpeedSubject>& candidates,
                                       const SpeedOptions& options);
  Result<std::vector<TuneTrialResult>> Race(const std::string& name, const std::string& said,
                                            const std::vector<Variation>& variations,
                                            double budget);
  Status Probe();
  void LeaveOutWhatTakesTooLong(std::vector<Variation>& variations, double budget);
  Result<bool> KvIsGoodEnough(const RuntimeSettings& settings);
  void DropKv(std::vector<TuneTrialResult>& trials) const;
  Result<Choice> Confirm(const std::vector<RuntimeSettings>& finalists);
  Status SayBusy(double may_hide) const;
  void Conclude(const Choice& decision, double may_hide);
  RuntimeSettings WithPromptThreads(RuntimeSettings settings) const;
  void Notice(const SpeedConditions& conditions);

  std::string path_;
  TuneOptions options_;
  const std::function<void(const std::string&, double)>& progress_;
  TuneJournal journal_;
  Clock::time_point start_ = Clock::now();
  TuneResult result_;
  double visit_seconds_ = 0;  // of the defaults
  double load_seconds_ = 0;
  int segments_ = 0;
  int discarded_ = 0;
  double others_share_ = 0;  // the largest of all steps
};

SpeedOptions Tuning::StageOptions() const {
  SpeedOptions speed;
  speed.prompt_tokens = options_.prompt_tokens;
  speed.decode_tokens = options_.decode_tokens;
  speed.depth = options_.depth;
  speed.rounds = kMaxRounds;
  speed.min_rounds = kMinRounds;
  speed.load_repeats = 1;
  speed.race = true;
  speed.seed = options_.seed;
  speed.exchange.answer_tokens =
      options_.purpose == TuneFor::kDocuments ? 0 : options_.answer_tokens;
  speed.exchange.users = options_.users;
  // A visit that lasts longer than the whole budget is no trial of it.
  speed.trial_seconds = std::clamp(options_.budget_seconds, 60.0, 600.0);
  // Contexts of several candidates at once would not fit a card that is well used.
  if (options_.has_gpu && options_.defaults.use_gpu) speed.resident = 1;
  return speed;
}

PhaseSeconds Tuning::SecondsOf(const Speed& speed) const {
  const Exchange exchange = StageOptions().exchange;
  const double prefill = speed.prompt_tokens / speed.prefill_tps.median;
  const int parallel = options_.defaults.parallel;
  const double decode = speed.decode_tokens * parallel / speed.decode_tps.median;
  return {ExchangeTime(exchange, speed.decode_tokens, parallel, prefill, 0),
          ExchangeTime(exchange, speed.decode_tokens, parallel, 0, decode)};
}

void Tuning::Notice(const SpeedConditions& conditions) {
  segments_ += conditions.segments;
  discarded_ += conditions.discarded;
  others_share_ = std::max(others_share_, conditions.others_share.value_or(0));
}

Result<std::vector<SpeedTrial>> Tuning::Step(const std::string& name, const std::string& said,
                                             const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options) {
  auto kept = journal_.Find(name, candidates);
  if (!kept) {
    TRY(kept, MeasureSpeed(candidates, options, [&](double share) {
          if (progress_) progress_(said, share);
        }));
    journal_.Keep(name, *kept);
  }
  if (kept->front().error) return *kept->front().error;
  Notice(kept->front().speed.conditions);
  return *kept;
}

// What a visit takes, so that the number of candidates can be chosen for the budget.
Status Tuning::Probe() {
  SpeedOptions speed = StageOptions();
  speed.race = false;
  speed.rounds = kMinRounds;
  speed.load_repeats = 2;
  const auto before = Clock::now();
  TRY(const auto trials,
      Step("probe", "measuring the defaults", {{path_, options_.defaults}}, speed));
  const double spent = std::chrono::duration<double>(Clock::now() - before).count();
  const Speed& defaults = trials[0].speed;
  result_.default_speed = defaults;
  load_seconds_ = defaults.load_ms.median / 1000;
  const auto needed_seconds = [&] {
    visit_seconds_ =
        defaults.prompt_tokens / defaults.prefill_tps.median +
        options_.decode_tokens * options_.defaults.parallel / defaults.decode_tps.median;
    // One candidate beside the defaults: raced, then confirmed; loaded and warmed up each time.
    return spent + (kMinRounds + kConfirmRounds) * 2 * visit_seconds_ +
           2 * (load_seconds_ + 2 * kWarmUpVisits * visit_seconds_);
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
    return Error{Code::kUsage,
                 fmt::format("a budget of {} is too small for one trial of this model here: it "
                             "takes {}",
                             FormatSeconds(options_.budget_seconds), FormatSeconds(needed)),
                 fmt::format("give --budget {}s or more, or a shorter prompt", std::ceil(needed))};
  }
  return {};
}

void Tuning::LeaveOutWhatTakesTooLong(std::vector<Variation>& variations, double budget) {
  const double whole = result_.default_speed.prompt_tokens /
                       result_.default_speed.prefill_tps.median / visit_seconds_;
  double spent = load_seconds_ + visit_seconds_ * (kWarmUpVisits + 1);
  std::string left_out;
  std::vector<Variation> kept;
  for (const Variation& variation : variations) {
    const double share = variation.phases == Phases::kPrefill  ? whole
                         : variation.phases == Phases::kDecode ? 1 - whole
                                                               : 1;
    double cost = visit_seconds_ *
                  (share * kMinRounds + (kWithAnchor - 1) * kMinRounds + kWarmUpVisits * share);
    const bool loads = variation.knob == Knob::kRepack || variation.knob == Knob::kLoading ||
                       variation.knob == Knob::kGpuLayers;
    if (loads) cost += 2 * load_seconds_;
    if (spent + cost > budget && !kept.empty()) {
      result_.not_tried.push_back({variation.what, "no time was left for it"});
      continue;
    }
    spent += cost;
    kept.push_back(variation);
  }
  variations = std::move(kept);
}

Result<std::vector<TuneTrialResult>> Tuning::Race(const std::string& name, const std::string& said,
                                                  const std::vector<Variation>& variations,
                                                  double budget) {
  std::vector<SpeedSubject> candidates = {{path_, options_.defaults, Phases::kBoth}};
  for (const Variation& variation : variations)
    candidates.push_back({path_, variation.settings, variation.phases});
  SpeedOptions speed = StageOptions();
  speed.budget_seconds = std::max(0.0, budget - load_seconds_ - visit_seconds_);
  TRY(const auto trials, Step(name, said, candidates, speed));
  // Its figures stand beside those that were taken with it, if any were.
  if (trials[0].speed.prefill_tps.n > 0 && trials[0].speed.decode_tps.n > 0)
    result_.default_speed = trials[0].speed;
  std::vector<TuneTrialResult> judged;
  for (size_t i = 0; i < variations.size(); ++i)
    judged.push_back(JudgeTrial(variations[i], trials[i + 1]));
  return judged;
}

// A quantised KV cache that looks faster stays only if it changes the answers little enough.
Result<bool> Tuning::KvIsGoodEnough(const RuntimeSettings& settings) {
  QualityOptions quality;
  quality.text_file = options_.text_file;
  quality.chunks = 8;
  quality.chunk = JudgingChunk(options_.trained_context);
  quality.budget_seconds = std::max(10.0, Left() / 2);
  quality.generate_seconds = std::clamp(Left() / 8, 2.0, 20.0);
  if (progress_) progress_("judging the KV cache", 0);
  RuntimeSettings judged = options_.defaults;
  judged.kv_k = settings.kv_k;
  judged.kv_v = settings.kv_v;
  TRY(const auto measured, MeasureQuality({path_, options_.defaults}, {{path_, judged}}, quality));
  result_.kv_quality = measured[0];
  return measured[0].mean_kld_high <= options_.max_kv_kld;
}

// The trials stay in the result; they only win no more.
void Tuning::DropKv(std::vector<TuneTrialResult>& trials) const {
  std::erase_if(trials, [](const TuneTrialResult& t) { return t.variation.knob == Knob::kKv; });
}

// Where decoding's threads are set and prefill's follow them, the defaults' own are set too.
RuntimeSettings Tuning::WithPromptThreads(RuntimeSettings settings) const {
  const RuntimeSettings& defaults = options_.defaults;
  if (settings.threads != defaults.threads && !settings.threads_batch)
    settings.threads_batch =
        defaults.threads_batch.value_or(defaults.threads.value_or(options_.cores));
  return settings;
}

Result<Choice> Tuning::Confirm(const std::vector<RuntimeSettings>& finalists) {
  std::vector<SpeedSubject> candidates = {{path_, options_.defaults, Phases::kBoth}};
  for (const RuntimeSettings& settings : finalists) {
    candidates.push_back({path_, settings, Phases::kPrefill});
    candidates.push_back({path_, settings, Phases::kDecode});
  }
  SpeedOptions speed = StageOptions();
  speed.race = false;
  speed.seed = options_.seed + 1;
  // Fixed beforehand: looking at the figures to choose their number would break their certainty.
  const double round = visit_seconds_ * (1 + static_cast<double>(finalists.size()));
  const double loads = load_seconds_ * static_cast<double>(1 + finalists.size());
  const double start =
      loads + (kFirstWarmUpVisits + static_cast<double>(finalists.size())) * visit_seconds_;
  const double rounds = (Left() / kConfirmRounds - start) / round;
  if (rounds >= 1) {
    speed.processes = kConfirmRounds;
    speed.rounds = kConfirmRounds * static_cast<int>(std::min(rounds, kMaxRoundsOfProcess));
  } else {
    // Loading it so often would take too long.
    speed.rounds = static_cast<int>(
        std::clamp((Left() - start) / round, 1.0 * kConfirmRounds, 1.0 * kMaxConfirmRounds));
    result_.notes.emplace_back(
        "confirmed in one process: a larger --budget would show how much processes differ");
  }
  speed.min_rounds = speed.rounds;
  TRY(const auto trials, Step("confirm", "confirming", candidates, speed));
  result_.default_speed = trials[0].speed;
  std::vector<Confirmation> confirmations;
  std::vector<Speed> speeds;
  for (size_t i = 0; i < finalists.size(); ++i) {
    const SpeedTrial& prefill = trials[1 + 2 * i];
    const SpeedTrial& decode = trials[2 + 2 * i];
    Speed whole = prefill.speed;
    whole.decode_tps = decode.speed.decode_tps;
    whole.decode_samples = decode.speed.decode_samples;
    speeds.push_back(std::move(whole));
    // Without samples nothing is proven.
    confirmations.push_back({finalists[i], prefill.log_gains, decode.log_gains});
  }
  const Choice decision =
      Decide(options_.defaults, confirmations, SecondsOf(result_.default_speed));
  result_.best_speed = result_.default_speed;
  // Of a phase that went back to the default, the default's figures.
  Speed& best = result_.best_speed;
  const Speed& its = speeds[decision.finalist];
  if (decision.prefill.mean != 1) {
    best.prefill_tps = its.prefill_tps;
    best.ttft_ms = its.ttft_ms;
    best.prefill_samples = its.prefill_samples;
    best.load_ms = its.load_ms;
  }
  if (decision.decode.mean != 1) {
    best.decode_tps = its.decode_tps;
    best.decode_samples = its.decode_samples;
  }
  return decision;
}

Status Tuning::SayBusy(double may_hide) const {
  const bool unsteady = 2 * discarded_ >= segments_ && segments_ > 0;
  if (may_hide < kNothingTold || (others_share_ < kBusyShare && !unsteady)) return {};
  const std::string size = may_hide > std::log(10.0)
                               ? "any size"
                               : fmt::format("{:.0f} %", 100 * (std::exp(may_hide) - 1));
  return Error{Code::kBusy,
               fmt::format("this machine is too busy to tune: others had {:.0f} % of its "
                           "processors, {} of {} stretches drifted, and differences of {} can't be "
                           "told",
                           100 * others_share_, discarded_, segments_, size),
               "end what else runs, or give a larger --budget"};
}

void Tuning::Conclude(const Choice& decision, double may_hide) {
  result_.best_settings = WithPromptThreads(decision.settings);
  result_.gain = decision.gain;
  result_.prefill_gain = decision.prefill;
  result_.decode_gain = decision.decode;
  const auto less = [](double gain) { return 100 * (1 - 1 / gain); };
  if (!(decision.settings == options_.defaults)) {
    std::string phases;
    if (decision.prefill.mean != 1)
      phases += fmt::format("prefill {:+.1f} %", 100 * (decision.prefill.mean - 1));
    if (decision.decode.mean != 1)
      phases += fmt::format("{}decode {:+.1f} %", phases.empty() ? "" : ", ",
                            100 * (decision.decode.mean - 1));
    const std::string what =
        options_.purpose == TuneFor::kDocuments
            ? fmt::format("a prompt of {} tokens", options_.prompt_tokens)
            : fmt::format(
                  "{}a prompt of {} and an answer of {} tokens",
                  options_.users > 1 ? fmt::format("{} users, each with ", options_.users) : "",
                  options_.prompt_tokens, options_.answer_tokens);
    result_.verdict = fmt::format("{:.1f} % less time for {} (95 %: {:.1f} to {:.1f} %); {}",
                                  less(decision.gain.mean), what, less(decision.gain.low),
                                  less(decision.gain.high), phases);
    return;
  }
  result_.best_speed = result_.default_speed;
  result_.verdict = "the default is already best: no other setting was measurably faster";
  if (may_hide > 2 * RaceOptions().felt) {
    result_.verdict += may_hide > std::log(10.0)
                           ? "; the time was too short to exclude gains"
                           : fmt::format("; gains below {:.0f} % can't be excluded in this time",
                                         100 * (std::exp(may_hide) - 1));
  }
}

Result<TuneResult> Tuning::Run(const ModelFacts& facts) {
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
                           options_.has_gpu, options_.gpu_layers};
  Space space = MakeSpace(space_options, facts);
  result_.not_tried = space.not_tried;
  const double alone_budget = kAloneShare * options_.budget_seconds;
  LeaveOutWhatTakesTooLong(space.variations, alone_budget - Elapsed());
  std::vector<TuneTrialResult> alone;
  if (!space.variations.empty()) {
    TRY(alone, Race("alone", "trying settings", space.variations, alone_budget - Elapsed()));
  }
  result_.trials = alone;
  RuntimeSettings shared = SharedWinners(options_.defaults, alone);
  if (shared.kv_k != options_.defaults.kv_k || shared.kv_v != options_.defaults.kv_v) {
    const auto good = KvIsGoodEnough(shared);
    if (!good.ok() &&
        (good.error().code == Code::kInterrupted || good.error().code == Code::kTerminated))
      return good.error();
    if (!good.ok()) {
      result_.notes.push_back(
          "a quantised KV cache is left out, since what it loses could not be "
          "judged: " +
          good.error().what);
    }
    if (!good.ok() || !*good) DropKv(alone);
  }
  std::vector<Combination> combinations = Combinations(options_.defaults, alone);
  std::vector<TuneTrialResult> together;
  if (!combinations.empty()) {
    std::vector<Variation> variations;
    for (Combination& combination : combinations) {
      combination.variation.settings = WithPromptThreads(combination.variation.settings);
      variations.push_back(combination.variation);
    }
    const double budget = std::min(
        Left(), kTogetherShare * options_.budget_seconds + std::max(0.0, alone_budget - Elapsed()));
    TRY(together, Race("together", "combining", variations, budget));
    result_.trials.insert(result_.trials.end(), together.begin(), together.end());
  }
  std::vector<RuntimeSettings> finalists =
      Finalists(options_.defaults, alone, combinations, together, SecondsOf(result_.default_speed));
  for (RuntimeSettings& settings : finalists) settings = WithPromptThreads(settings);
  Choice decision;
  decision.settings = options_.defaults;
  double may_hide = 0;
  if (finalists.empty()) {
    // Those that were left may be better by what their intervals allow.
    for (const TuneTrialResult& trial : alone) {
      if (trial.left) may_hide = std::max(may_hide, std::log(trial.gain.high));
    }
  } else {
    TRY(decision, Confirm(finalists));
    may_hide = decision.may_hide;
  }
  if (decision.settings == options_.defaults) {
    if (const Status busy = SayBusy(may_hide); !busy.ok()) {
      // What was measured under that load must not answer the next call.
      journal_.Remove();
      return busy.error();
    }
  }
  Conclude(decision, may_hide);
  if (others_share_ >= kNoticedShare) {
    result_.notes.push_back(
        fmt::format("other processes had {:.0f} % of this machine's processors while it measured",
                    100 * others_share_));
  }
  if (discarded_ > 0) {
    result_.notes.push_back(
        fmt::format("{} of {} stretches of the measurement were discarded, since the machine's own "
                    "speed drifted",
                    discarded_, segments_));
  }
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
