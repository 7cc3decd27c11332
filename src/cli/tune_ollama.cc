// tune --through ollama: threads first, which both phases depend on, then the batch, which the
// prompt alone does; the winner is measured again, afresh, against the default.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>

#include "cli/through_ollama.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;

Json AsOptions(const RuntimeSettings& settings, const Json& base) {
  Json options = base;
  // 0: as many as Ollama thinks best.
  options["num_thread"] = settings.threads.value_or(0);
  options["num_batch"] = settings.ubatch;
  return options;
}

class Tuning {
 public:
  Tuning(const OllamaTuning& wish, OllamaClient client, Json base, Progress& progress)
      : wish_(wish), client_(std::move(client)), base_(std::move(base)), progress_(progress) {}

  Result<TuneResult> Run() {
    const auto start = Clock::now();
    result_.default_settings.ubatch = kOllamasBatch;
    result_.default_settings.batch = kOllamasBatch;
    if (base_.contains("num_ctx")) result_.default_settings.context = base_["num_ctx"];
    const RuntimeSettings& defaults = result_.default_settings;
    std::vector<RuntimeSettings> tried = {defaults};
    for (const int threads : ThreadsToTry()) {
      tried.push_back(defaults);
      tried.back().threads = threads;
    }
    TRY(const RuntimeSettings threads, Race(tried, wish_.speed.seconds * 0.4, "threads"));
    tried = {threads};
    for (const uint32_t batch : kBatches) {
      if (batch == kOllamasBatch || batch > static_cast<uint32_t>(wish_.speed.prompt_tokens) * 2)
        continue;
      tried.push_back(threads);
      tried.back().batch = tried.back().ubatch = batch;
    }
    TRY(const RuntimeSettings best, Race(tried, wish_.speed.seconds * 0.3, "batches"));
    TRY_STATUS(Confirm(best));
    progress_.Done();
    result_.notes.push_back(fmt::format("measured through Ollama {}", client_.version()));
    result_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return std::move(result_);
  }

 private:
  static constexpr uint32_t kOllamasBatch = 512;
  static constexpr std::array<uint32_t, 5> kBatches = {128, 256, 512, 1024, 2048};

  std::set<int> ThreadsToTry() const {
    std::set<int> counts = {1, wish_.cores / 2, wish_.cores - 1, wish_.cores, wish_.threads};
    std::erase_if(counts, [](int n) { return n < 1; });
    return counts;
  }

  Result<std::vector<Speed>> Measure(const std::vector<RuntimeSettings>& settings, double seconds,
                                     int min_rounds, const std::string& stage) {
    std::vector<ServedSubject> subjects;
    for (const RuntimeSettings& one : settings)
      subjects.push_back({NameInOllamaOf(wish_.speed.models[0]), AsOptions(one, base_)});
    ServedSpeedOptions options;
    options.prompt_words = wish_.speed.prompt_tokens * 9 / 10;
    options.answer_tokens = wish_.speed.answer_tokens;
    options.min_rounds = min_rounds;
    options.budget_seconds = seconds;
    return MeasureServed(client_, subjects, options,
                         [&](double share) { progress_.Update("measuring " + stage, share); });
  }

  // Seconds of a prompt and its answer, round by round.
  std::vector<double> Times(const Speed& speed) const {
    std::vector<double> times;
    const size_t n = std::min(speed.prefill_samples.size(), speed.decode_samples.size());
    for (size_t i = 0; i < n; ++i)
      times.push_back(wish_.speed.prompt_tokens / speed.prefill_samples[i] +
                      wish_.answer_tokens / speed.decode_samples[i]);
    return times;
  }

  // The one whose time is the shortest by its median; each one is a trial of the result.
  Result<RuntimeSettings> Race(const std::vector<RuntimeSettings>& settings, double seconds,
                               const std::string& stage) {
    constexpr int kRounds = 2;
    TRY(const auto speeds, Measure(settings, seconds, kRounds, stage));
    size_t best = 0;
    std::vector<double> medians;
    for (size_t i = 0; i < settings.size(); ++i) {
      const std::vector<double> times = Times(speeds[i]);
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
      if (change.ratio) trial.gain = *change.ratio;
      trial.outcome = change.verdict == "faster"   ? TrialOutcome::kFaster
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
    TRY(const auto speeds,
        Measure(both, wish_.speed.seconds * 0.3, same ? 1 : kRounds, "the winner afresh"));
    result_.default_speed = speeds[0];
    result_.best_settings = result_.default_settings;
    result_.best_speed = speeds[0];
    result_.gain = result_.prefill_gain = result_.decode_gain = {1, 1, 1};
    result_.verdict = "the default is already best";
    if (same) return {};
    const ServedChange change = ComparePairs(Times(speeds[1]), Times(speeds[0]));
    if (change.verdict != "faster") {
      result_.verdict += ": what looked faster made no difference when measured again";
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
};

}  // namespace

Result<TuneResult> TuneThroughOllama(const OllamaTuning& wish, Progress& progress) {
  TRY(Json base, OllamaOptions(wish.speed.runtime));
  TRY(OllamaClient client, OllamaClient::Connect());
  TRY_STATUS(client.Show(NameInOllamaOf(wish.speed.models.at(0))));
  return Tuning(wish, std::move(client), std::move(base), progress).Run();
}

}  // namespace trimma
