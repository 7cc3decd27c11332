// tune --through ollama: threads first, which both phases depend on, then the batch, which the
// prompt alone does; the winner is measured again, afresh, against the default.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>

#include "base/clock.h"
#include "cli/through_ollama.h"

namespace trimma {
namespace {

constexpr uint32_t kOllamasBatch = 512;

// What the user has: the options of this call, else the model's own parameters, else Ollama's.
RuntimeSettings DefaultsOf(const Json& base, const Json& parameters) {
  const auto number = [&](const char* name) -> std::optional<int64_t> {
    for (const Json* from : {&base, &parameters})
      if (from->contains(name) && (*from)[name].is_number_integer())
        return (*from)[name].get<int64_t>();
    return std::nullopt;
  };
  RuntimeSettings settings;
  settings.batch = settings.ubatch = static_cast<uint32_t>(
      std::clamp<int64_t>(number("num_batch").value_or(kOllamasBatch), 1, 1 << 20));
  // 0 and less: as many as Ollama thinks best.
  const int64_t threads = number("num_thread").value_or(0);
  if (threads > 0 && threads <= 1024) settings.threads = static_cast<int>(threads);
  const int64_t context = number("num_ctx").value_or(0);
  if (context > 0 && context <= UINT32_MAX) settings.context = static_cast<uint32_t>(context);
  const int64_t layers = number("num_gpu").value_or(-1);
  if (layers == 0) settings.use_gpu = false;
  if (layers > 0 && layers <= 10000) settings.gpu_layers = static_cast<int>(layers);
  return settings;
}

Json AsOptions(const RuntimeSettings& settings, const Json& base) {
  Json options = base;
  options["num_thread"] = settings.threads.value_or(0);
  options["num_batch"] = settings.ubatch;
  return options;
}

class Tuning {
 public:
  Tuning(const OllamaTuning& wish, OllamaClient client, Json base, Progress& progress)
      : wish_(wish), client_(std::move(client)), base_(std::move(base)), progress_(progress) {}

  Result<TuneResult> Run(const Json& parameters) {
    result_.default_settings = DefaultsOf(base_, parameters);
    TRY(const RuntimeSettings threads,
        Race(ThreadsToTry(result_.default_settings), 0.4, "threads"));
    TRY(const RuntimeSettings best, Race(BatchesToTry(threads), 0.3, "batches"));
    TRY_STATUS(Confirm(best));
    progress_.Done();
    result_.notes.push_back(fmt::format("measured through Ollama {}", client_.version()));
    result_.seconds = spent();
    return std::move(result_);
  }

 private:
  static constexpr std::array<uint32_t, 5> kBatches = {128, 256, 512, 1024, 2048};

  double spent() const { return SecondsSince(start_); }

  // Each list begins with the default. What the user gave stays as it is.
  std::vector<RuntimeSettings> ThreadsToTry(const RuntimeSettings& defaults) const {
    std::vector<RuntimeSettings> tried = {defaults};
    if (base_.contains("num_thread")) return tried;
    for (const int n :
         std::set<int>{1, wish_.cores / 2, wish_.cores - 1, wish_.cores, wish_.threads}) {
      if (n < 1 || n == defaults.threads) continue;
      tried.push_back(defaults);
      tried.back().threads = n;
    }
    return tried;
  }
  std::vector<RuntimeSettings> BatchesToTry(const RuntimeSettings& threads) const {
    std::vector<RuntimeSettings> tried = {result_.default_settings};
    if (!(threads == tried[0])) tried.push_back(threads);
    if (base_.contains("num_batch")) return {threads};
    for (const uint32_t batch : kBatches) {
      if (batch == threads.ubatch || batch > static_cast<uint32_t>(wish_.speed.prompt_tokens) * 2)
        continue;
      tried.push_back(threads);
      tried.back().batch = tried.back().ubatch = batch;
    }
    return tried;
  }

  // Within its share of the budget, and of what is left of it.
  Result<std::vector<Speed>> Measure(const std::vector<RuntimeSettings>& settings, double share,
                                     int min_rounds, const std::string& stage) {
    std::vector<ServedSubject> subjects;
    for (const RuntimeSettings& one : settings)
      subjects.push_back({NameInOllamaOf(wish_.speed.models[0]), AsOptions(one, base_)});
    ServedSpeedOptions options;
    options.prompt_words = wish_.speed.prompt_tokens * 9 / 10;
    options.answer_tokens = wish_.speed.answer_tokens;
    // Every visit may load the model anew: one sample each, and more rounds.
    options.samples = 1;
    options.min_rounds = min_rounds;
    const double left = std::max(0.0, wish_.speed.seconds - spent());
    options.budget_seconds = std::min(left, wish_.speed.seconds * share);
    options.most_seconds = options.budget_seconds;
    return MeasureServed(client_, subjects, options,
                         [&](double done) { progress_.Update("measuring " + stage, done); });
  }

  // Seconds of a prompt and its answer, round by round; 0 where a round gave none.
  std::vector<double> Times(const Speed& speed) const {
    std::vector<double> times;
    const size_t n = std::min(speed.prefill_samples.size(), speed.decode_samples.size());
    for (size_t i = 0; i < n; ++i) {
      const bool both = speed.prefill_samples[i] > 0 && speed.decode_samples[i] > 0;
      times.push_back(both ? wish_.speed.prompt_tokens / speed.prefill_samples[i] +
                                 wish_.answer_tokens / speed.decode_samples[i]
                           : 0);
    }
    return times;
  }

  // The one whose time is the shortest by its median; each one is a trial of the result, against
  // the default, which is the first.
  Result<RuntimeSettings> Race(const std::vector<RuntimeSettings>& settings, double share,
                               const std::string& stage) {
    constexpr int kRounds = 2;
    if (settings.size() < 2) return settings[0];
    TRY(const auto speeds, Measure(settings, share, kRounds, stage));
    if (speeds[0].prefill_tps.n > 0) result_.default_speed = speeds[0];
    size_t best = 0;
    std::vector<double> medians;
    for (size_t i = 0; i < settings.size(); ++i) {
      std::vector<double> times = Times(speeds[i]);
      std::erase(times, 0.0);
      medians.push_back(times.empty() ? INFINITY : MedianSpread(times).median);
      if (medians[i] < medians[best]) best = i;
    }
    for (size_t i = 1; i < settings.size(); ++i) {
      TuneTrialResult trial;
      trial.variation.settings = settings[i];
      trial.variation.what = Difference(result_.default_settings, settings[i]);
      trial.speed = speeds[i];
      // Pairs of times: "faster" is the default's time over this one's.
      const ServedChange change = ComparePairs(Times(speeds[i]), Times(speeds[0]));
      if (change.ratio) {
        trial.gain = *change.ratio;
      } else {
        trial.error = Error{Code::kFailure, "not measured twice within the budget", ""};
      }
      trial.outcome = trial.error                  ? TrialOutcome::kFailed
                      : change.verdict == "faster" ? TrialOutcome::kFaster
                      : change.verdict == "slower" ? TrialOutcome::kSlower
                                                   : TrialOutcome::kNoDifference;
      trial.left = i == best;
      result_.trials.push_back(std::move(trial));
    }
    return settings[best];
  }

  Status Confirm(const RuntimeSettings& best) {
    constexpr int kRounds = 4;
    const bool same = best == result_.default_settings;
    std::vector<RuntimeSettings> both = {result_.default_settings};
    if (!same) both.push_back(best);
    TRY(const auto speeds, Measure(both, 1, same ? 1 : kRounds, "the winner afresh"));
    if (speeds[0].prefill_tps.n > 0) result_.default_speed = speeds[0];
    result_.best_settings = result_.default_settings;
    result_.best_speed = result_.default_speed;
    result_.gain = result_.prefill_gain = result_.decode_gain = {1, 1, 1};
    result_.verdict = result_.default_speed.prefill_tps.n > 0
                          ? "the default is already best"
                          : "the default stays: nothing could be measured within the budget";
    if (same) return {};
    const ServedChange change = ComparePairs(Times(speeds[1]), Times(speeds[0]));
    if (change.verdict != "faster") {
      result_.verdict = change.ratio
                            ? "the default is already best: what looked faster made no difference "
                              "when measured again"
                            : "the default stays: what looked faster could not be measured again "
                              "within the budget";
      return {};
    }
    result_.best_settings = best;
    result_.best_speed = speeds[1];
    result_.gain = *change.ratio;
    const auto of = [](const std::vector<double>& before, const std::vector<double>& after) {
      return ComparePairs(before, after).ratio.value_or(MeanInterval{1, 1, 1});
    };
    result_.prefill_gain = of(speeds[0].prefill_samples, speeds[1].prefill_samples);
    result_.decode_gain = of(speeds[0].decode_samples, speeds[1].decode_samples);
    result_.verdict = fmt::format("{}: {:.2f} times as fast (95 %: {:.2f} to {:.2f})",
                                  Difference(result_.default_settings, best), change.ratio->mean,
                                  change.ratio->low, change.ratio->high);
    return {};
  }

  const OllamaTuning& wish_;
  OllamaClient client_;
  Json base_;
  Progress& progress_;
  TuneResult result_;
  const Clock::time_point start_ = Clock::now();
};

}  // namespace

Result<TuneResult> TuneThroughOllama(const OllamaTuning& wish, Progress& progress) {
  TRY(Json base, OllamaOptions(wish.speed.runtime));
  TRY(OllamaClient client, OllamaClient::Connect());
  TRY(const OllamaShow show, client.Show(NameInOllamaOf(wish.speed.models.at(0))));
  return Tuning(wish, std::move(client), std::move(base), progress).Run(show.parameters);
}

}  // namespace trimma
