#include "tune/recheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "tune/confirm.h"
#include "tune/stage.h"

namespace trimma {
namespace {

// Of the budget, and seconds: who wants more certainty searches anew.
constexpr double kShareOfBudget = 0.25;
constexpr double kMostSeconds = 30;

bool Overlap(const Spread& a, const Spread& b) {
  return a.n > 0 && b.n > 0 && a.low <= b.high && b.low <= a.high;
}

std::string Rates(const Spread& then, const Spread& now, const char* phase) {
  return fmt::format("{} {:.1f} tok/s then, {:.1f} now", phase, then.median, now.median);
}

void JudgeDefaults(const FormerChoice& former, const TuneOptions& options, Recheck& recheck) {
  const Speed& then = former.default_speed;
  const Speed& now = recheck.default_speed;
  const bool prompt_alone = options.purpose == TuneFor::kDocuments;
  recheck.holds = Overlap(then.prefill_tps, now.prefill_tps) &&
                  (prompt_alone || Overlap(then.decode_tps, now.decode_tps));
  std::string rates = Rates(then.prefill_tps, now.prefill_tps, "prefill");
  if (!prompt_alone) rates += "; " + Rates(then.decode_tps, now.decode_tps, "decode");
  recheck.sentence =
      fmt::format("the defaults, which were best, run {} ({})",
                  recheck.holds ? "no differently that could be told" : "at another speed", rates);
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

std::optional<FormerChoice> FormerChoiceFrom(const Json& document, const TuneOptions& options) {
  try {
    if (document.at("asked") != AskedOf(options)) return std::nullopt;
    const auto defaults = RuntimeSettingsFromJson(document.at("default").at("settings"));
    const auto best = RuntimeSettingsFromJson(document.at("best").at("settings"));
    auto speed = SpeedFromJson(document.at("default").at("speed"));
    if (!defaults.ok() || !best.ok() || !speed.ok() || !(*defaults == options.defaults))
      return std::nullopt;
    const bool usable = speed->prefill_tps.median > 0 && speed->decode_tps.median > 0;
    if (!usable) return std::nullopt;
    return FormerChoice{*best, std::move(*speed)};
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
  speed.rounds = speed.min_rounds = plan.rounds;
  TRY(const auto trials, MeasureSpeed(subjects, speed, progress));
  if (trials[0].error) return *trials[0].error;
  Recheck recheck = JudgeAgain(former, options, trials);
  recheck.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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
  return result;
}

}  // namespace trimma
