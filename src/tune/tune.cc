#include "tune/tune.h"

#include <fmt/format.h>

#include <chrono>

namespace trimma {
namespace {

constexpr double kFirstStageShare = 0.6;
constexpr int kMaxRounds = 60;

SpeedOptions StageOptions(const TuneOptions& options, double share) {
  SpeedOptions speed;
  speed.prompt_tokens = options.prompt_tokens;
  speed.decode_tokens = options.decode_tokens;
  speed.rounds = kMaxRounds;
  speed.budget_seconds = options.budget_seconds * share;
  speed.load_repeats = 2;
  speed.drop_slower = true;
  return speed;
}

// All in one process; if a candidate takes that process down, each alone, so that the others count.
Result<std::vector<SpeedTrial>> MeasureApart(const std::string& path,
                                             const std::vector<RuntimeSettings>& settings,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress) {
  std::vector<SpeedSubject> subjects;
  for (const RuntimeSettings& s : settings) subjects.push_back({path, s});
  auto together = MeasureSpeed(subjects, options, progress);
  if (together.ok() ||
      (together.error().code != Code::kInternal && together.error().code != Code::kNoFit))
    return together;
  std::vector<SpeedTrial> trials;
  for (size_t i = 0; i < subjects.size(); ++i) {
    SpeedOptions alone = options;
    alone.budget_seconds = options.budget_seconds / static_cast<double>(subjects.size());
    auto one = MeasureSpeed({subjects[i]}, alone);
    // The defaults must run, or there is nothing to compare with.
    if (!one.ok() && i == 0) return one.error();
    trials.push_back(one.ok() ? one->front() : SpeedTrial{subjects[i], one.error(), {}});
  }
  return trials;
}

TuneTrialResult Judge(const Variation& variation, const SpeedTrial& trial,
                      const Speed& default_speed, int answer_tokens) {
  TuneTrialResult result;
  result.variation = variation;
  result.error = trial.error;
  result.speed = trial.speed;
  if (trial.error) {
    result.outcome = TrialOutcome::kFailed;
    return result;
  }
  result.gain = MedianRatio(ExchangeSeconds(default_speed, answer_tokens),
                            ExchangeSeconds(trial.speed, answer_tokens));
  result.outcome = Compare(result.gain);
  return result;
}

// A quantised KV cache that looked faster stays only if it changes the answers little enough.
Status CheckKvQuality(const std::string& path, const TuneOptions& options,
                      RuntimeSettings& combined, TuneResult& result) {
  if (combined.kv_k == options.defaults.kv_k && combined.kv_v == options.defaults.kv_v) return {};
  QualityOptions quality;
  quality.text_file = options.text_file;
  quality.chunks = 8;
  quality.chunk = JudgingChunk(options.trained_context);
  quality.budget_seconds = options.budget_seconds;
  TRY(const auto measured, MeasureQuality({path, options.defaults}, {{path, combined}}, quality));
  result.kv_quality = measured[0];
  if (measured[0].mean_kld_high > options.max_kv_kld) {
    combined.kv_k = options.defaults.kv_k;
    combined.kv_v = options.defaults.kv_v;
  }
  return {};
}

}  // namespace

Result<TuneResult> Tune(const std::string& model_path, const TuneOptions& options,
                        const std::function<void(const std::string&, double)>& progress) {
  const auto start = std::chrono::steady_clock::now();
  TuneResult result;
  result.default_settings = options.defaults;
  const std::vector<Variation> variations = Variations(options);
  std::vector<RuntimeSettings> settings = {options.defaults};
  for (const Variation& variation : variations) settings.push_back(variation.settings);
  const auto report = [&](const char* stage) {
    return [&, stage](double share) {
      if (progress) progress(stage, share);
    };
  };
  TRY(const auto first, MeasureApart(model_path, settings, StageOptions(options, kFirstStageShare),
                                     report("trying settings")));
  if (first[0].error) return *first[0].error;
  result.default_speed = first[0].speed;
  for (size_t i = 0; i < variations.size(); ++i) {
    result.trials.push_back(
        Judge(variations[i], first[i + 1], result.default_speed, options.answer_tokens));
  }

  RuntimeSettings combined = Combine(options.defaults, result.trials);
  TRY_STATUS(CheckKvQuality(model_path, options, combined, result));
  result.best_settings = options.defaults;
  result.best_speed = result.default_speed;
  result.gain = {1, 1, 1};
  result.verdict = "the default is already best: no other setting was measurably faster";
  if (!(combined == options.defaults)) {
    TRY(const auto second,
        MeasureApart(model_path, {options.defaults, combined},
                     StageOptions(options, 1 - kFirstStageShare), report("confirming")));
    if (second[0].error) return *second[0].error;
    result.default_speed = second[0].speed;
    result.best_speed = second[0].speed;
    if (!second[1].error) {
      result.gain = MedianRatio(ExchangeSeconds(second[0].speed, options.answer_tokens),
                                ExchangeSeconds(second[1].speed, options.answer_tokens));
    }
    if (Compare(result.gain) == TrialOutcome::kFaster) {
      result.best_settings = combined;
      result.best_speed = second[1].speed;
      result.verdict = fmt::format(
          "{:.1f} % less time for a prompt of {} and an answer of {} tokens (95 %: {:.1f} to "
          "{:.1f} %)",
          100 * (1 - 1 / result.gain.mean), options.prompt_tokens, options.answer_tokens,
          100 * (1 - 1 / result.gain.low), 100 * (1 - 1 / result.gain.high));
    } else {
      result.gain = {1, 1, 1};
      result.verdict =
          "the default is already best: what looked faster at first was not when measured again";
    }
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

Json ToJson(const TuneResult& result) {
  Json trials = Json::array();
  for (const TuneTrialResult& trial : result.trials) {
    Json item = {{"what", trial.variation.what},
                 {"settings", ToJson(trial.variation.settings)},
                 {"outcome", NameOf(trial.outcome)}};
    if (trial.error) {
      item["error"] = ErrorToJson(*trial.error);
    } else {
      item["speed"] = ToJson(trial.speed);
      item["gain"] = trial.gain.mean;
      item["gain_ci95"] = {trial.gain.low, trial.gain.high};
    }
    trials.push_back(std::move(item));
  }
  return {
      {"schema", "trimma.tune/1"},
      {"default",
       {{"settings", ToJson(result.default_settings)}, {"speed", ToJson(result.default_speed)}}},
      {"best", {{"settings", ToJson(result.best_settings)}, {"speed", ToJson(result.best_speed)}}},
      {"gain", result.gain.mean},
      {"gain_ci95", {result.gain.low, result.gain.high}},
      {"verdict", result.verdict},
      {"kv_quality", result.kv_quality ? ToJson(*result.kv_quality) : Json()},
      {"trials", trials},
      {"seconds", result.seconds}};
}

}  // namespace trimma
