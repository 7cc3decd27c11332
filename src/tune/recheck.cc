#include "tune/recheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/file.h"
#include "plan/file_hash.h"
#include "tune/confirm.h"
#include "tune/stage.h"
#include "tune/verdict.h"

namespace trimma {
namespace {

// Of the budget, and seconds: who wants more certainty searches anew.
constexpr double kShareOfBudget = 0.25;
constexpr double kMostSeconds = 30;

constexpr double kMargin = 0.10;   // rates that differ by less are "as fast as then"
constexpr int kFewestFigures = 6;  // that bound a median

// Shown to be the same within the margin, which wide intervals don't show.
bool AsThen(const Spread& then, const Spread& now) {
  if (then.n < kFewestFigures || now.n < kFewestFigures || !(then.low > 0)) return false;
  return now.low / then.high >= 1 - kMargin && now.high / then.low <= 1 + kMargin;
}

// Whether what the former run judged of KV caches answers today's question.
bool CacheAnswers(const Json& document, const RuntimeSettings& best, const TuneOptions& options,
                  FormerChoice& former) {
  const Json quality = document.value("kv_quality", Json());
  const bool chosen = !SameCache(best, options.defaults);
  if (quality.is_null()) return !chosen;
  const auto judged = QualityFromJson(quality);
  if (!judged.ok() || !document.contains("max_kld") || !document.contains("kv_text")) return false;
  // What lost too much then may be allowed now.
  if (options.max_kv_kld > document.at("max_kld").get<double>()) return false;
  if (chosen && judged->mean_kld_high > options.max_kv_kld) return false;
  JudgingText text = JudgingTextFromJson(document.at("kv_text"));
  if (text.kind != (options.text_file ? "file" : "generated")) return false;
  if (options.text_file) {
    const auto file = InputFile::Open(*options.text_file);
    if (!file.ok()) return false;
    const auto hash = HashFile(*file);
    if (!hash.ok() || *hash != text.sha256) return false;
  }
  former.kv_quality = *judged;
  former.kv_text = std::move(text);
  return true;
}

std::string Rates(const Spread& then, const Spread& now, const char* phase) {
  return fmt::format("{} {:.1f} tok/s then, {:.1f} now", phase, then.median, now.median);
}

void JudgeDefaults(const FormerChoice& former, const TuneOptions& options, Recheck& recheck) {
  const Speed& then = former.default_speed;
  const Speed& now = recheck.default_speed;
  const bool prompt_alone = options.purpose == TuneFor::kDocuments;
  recheck.holds = AsThen(then.prefill_tps, now.prefill_tps) &&
                  (prompt_alone || AsThen(then.decode_tps, now.decode_tps));
  std::string rates = Rates(then.prefill_tps, now.prefill_tps, "prefill");
  if (!prompt_alone) rates += "; " + Rates(then.decode_tps, now.decode_tps, "decode");
  recheck.sentence =
      fmt::format("the defaults, which were best, {} ({})",
                  recheck.holds ? fmt::format("run as fast as then, within {:.0f} %", 100 * kMargin)
                                : "aren't shown to run as fast as then",
                  rates);
}

void JudgeSettings(const FormerChoice& former, const TuneOptions& options,
                   const std::vector<SpeedTrial>& trials, Recheck& recheck) {
  const Choice choice = Decide(options.defaults, ConfirmationsOf({former.settings}, trials),
                               SecondsOf(options, recheck.default_speed));
  recheck.holds = WithPromptThreads(options, choice.settings) == former.settings;
  const std::string what = Difference(options.defaults, former.settings);
  if (!recheck.holds) {
    recheck.sentence = fmt::format("{}: it isn't proven faster than the defaults any more", what);
    return;
  }
  recheck.gain = choice.gain;
  recheck.prefill_gain = choice.prefill;
  recheck.decode_gain = choice.decode;
  recheck.speed = SpeedOfChoice(choice, trials);
  const auto less = [](double gain) { return 100 * (1 - 1 / gain); };
  recheck.sentence = fmt::format("{}: {:.1f} % less time for {} (95 %: {:.1f} to {:.1f} %)", what,
                                 less(choice.gain.mean), ExchangeText(options),
                                 less(choice.gain.low), less(choice.gain.high));
}

}  // namespace

bool AsksTheSame(const Json& document, const TuneOptions& options) {
  try {
    if (document.contains("through") || document.at("asked") != AskedOf(options)) return false;
    const auto defaults = RuntimeSettingsFromJson(document.at("default").at("settings"));
    return defaults.ok() && *defaults == options.defaults;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::optional<FormerChoice> FormerChoiceFrom(const Json& document, const TuneOptions& options) {
  try {
    if (!AsksTheSame(document, options)) return std::nullopt;
    const auto best = RuntimeSettingsFromJson(document.at("best").at("settings"));
    auto speed = SpeedFromJson(document.at("default").at("speed"));
    if (!best.ok() || !speed.ok()) return std::nullopt;
    const bool usable =
        speed->prefill_tps.median > 0 && speed->decode_tps.median > 0 && speed->load_ms.median > 0;
    if (!usable) return std::nullopt;
    FormerChoice former = {*best, std::move(*speed), std::nullopt, std::nullopt};
    if (!CacheAnswers(document, *best, options, former)) return std::nullopt;
    return former;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

Recheck JudgeAgain(const FormerChoice& former, const TuneOptions& options,
                   const std::vector<SpeedTrial>& trials) {
  Recheck recheck;
  recheck.default_speed = recheck.speed = trials[0].speed;
  if (former.settings == options.defaults) {
    JudgeDefaults(former, options, recheck);
  } else {
    JudgeSettings(former, options, trials, recheck);
  }
  return recheck;
}

bool IsDisturbed(const SpeedConditions& conditions) {
  const bool drifts = conditions.segments > 0 && 2 * conditions.discarded >= conditions.segments;
  return conditions.unsteady || drifts || conditions.others_share.value_or(0) >= kBusyShare;
}

Result<Recheck> RecheckChoice(const std::string& model_path, const FormerChoice& former,
                              const TuneOptions& options,
                              const std::function<void(double)>& progress) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<RuntimeSettings> finalists;
  if (!(former.settings == options.defaults)) finalists.push_back(former.settings);
  const auto subjects = ConfirmSubjects(model_path, options.defaults, finalists);
  SpeedOptions speed = StageOptions(options);
  speed.race = false;
  const TrialCosts costs = CostsOf(former.default_speed, speed.decode_tokens,
                                   options.defaults.parallel, speed.resident.has_value());
  const double seconds = std::min(kShareOfBudget * options.budget_seconds, kMostSeconds);
  const ConfirmPlan plan = PlanConfirmation(costs, subjects, seconds);
  speed.processes = plan.processes;
  speed.rounds = plan.rounds;
  speed.min_rounds = std::min(plan.rounds, kConfirmRounds);
  speed.budget_seconds = seconds;
  TRY(auto trials, MeasureSpeed(subjects, speed, progress));
  if (trials[0].error) return *trials[0].error;
  if (IsDisturbed(trials[0].speed.conditions))
    return Error{Code::kBusy, "this machine was too busy or unsteady to check a former result", ""};
  // Without a change of placement none was timed.
  for (SpeedTrial& trial : trials)
    if (trial.speed.load_ms.n == 0) trial.speed.load_ms = former.default_speed.load_ms;
  Recheck recheck = JudgeAgain(former, options, trials);
  recheck.seconds = SecondsSince(start);
  return recheck;
}

TuneResult StillTrue(const FormerChoice& former, const TuneOptions& options,
                     const Recheck& recheck) {
  TuneResult result;
  result.asked = AskedOf(options);
  result.default_settings = options.defaults;
  result.default_speed = recheck.default_speed;
  result.best_settings = former.settings;
  result.best_speed = recheck.speed;
  result.gain = recheck.gain;
  result.prefill_gain = recheck.prefill_gain;
  result.decode_gain = recheck.decode_gain;
  result.verdict = "the former result still holds: " + recheck.sentence;
  result.seconds = recheck.seconds;
  result.recheck = recheck;
  result.kv_quality = former.kv_quality;
  result.kv_text = former.kv_text;
  result.max_kv_kld = options.max_kv_kld;
  return result;
}

}  // namespace trimma
