#include "ollama/served_speed.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace trimma {
namespace {

constexpr int kWarmUpTokens = 2;
constexpr int kWarmUpWords = 8;
// An answer that takes longer than this, or than the whole budget, is cut.
constexpr double kLeastPatience = 10;
// Rounds that are wanted at least are given up after so many times the budget.
constexpr double kMostBudgets = 3;
// A load that takes less is none: the model was there.
constexpr double kLeastLoadSeconds = 0.05;

struct Samples {
  std::vector<double> prefill, decode, ttft_ms, load_ms;
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
};

class Visits {
 public:
  Visits(OllamaClient& client, const ServedSpeedOptions& options)
      : client_(client), options_(options) {}

  double spent() const { return SecondsSince(start_); }
  bool over() const { return options_.most_seconds && spent() >= *options_.most_seconds; }

  // One visit: the samples of it are appended, one figure a phase.
  Status Visit(const ServedSubject& subject, Samples& to) {
    TRY(const OllamaAnswer warm, Answer(subject, kWarmUpWords, kWarmUpTokens));
    if (warm.load_s > kLeastLoadSeconds) to.load_ms.push_back(warm.load_s * 1000);
    std::vector<double> prefill;
    std::vector<double> decode;
    std::vector<double> ttft;
    for (int i = 0; i < options_.samples && !over(); ++i) {
      TRY(const OllamaAnswer answer,
          Answer(subject, options_.prompt_words, options_.answer_tokens));
      // One that was cut has no last line, and no count.
      to.prompt_tokens = std::max(to.prompt_tokens, answer.prompt_tokens);
      to.answer_tokens = std::max(to.answer_tokens, answer.answer_tokens);
      if (const auto rate = answer.PrefillRate()) {
        prefill.push_back(*rate);
        ttft.push_back(answer.prompt_s * 1000);
      }
      if (const auto rate = answer.DecodeRate()) decode.push_back(*rate);
    }
    // What a visit happened to get, all of its samples have: it gives one figure, or a 0, so that
    // the rounds of two subjects stay pairs.
    to.prefill.push_back(prefill.empty() ? 0 : MedianSpread(prefill).median);
    to.ttft_ms.push_back(ttft.empty() ? 0 : MedianSpread(ttft).median);
    to.decode.push_back(decode.empty() ? 0 : MedianSpread(decode).median);
    return {};
  }

 private:
  Result<OllamaAnswer> Answer(const ServedSubject& subject, int words, int tokens) {
    OllamaPrompt prompt;
    prompt.model = subject.model;
    prompt.text = ServedPrompt(words, number_++);
    prompt.options = subject.options;
    prompt.options["num_predict"] = tokens;
    prompt.options["temperature"] = 0;
    prompt.options["seed"] = 1;
    prompt.options["stop"] = Json::array();
    prompt.most_seconds = std::max(kLeastPatience, options_.budget_seconds);
    if (options_.most_seconds) prompt.deadline_s = std::max(0.01, *options_.most_seconds - spent());
    return client_.Generate(prompt, {});
  }
  OllamaClient& client_;
  const ServedSpeedOptions& options_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  // Another run of this program must not find its prompts in the cache either.
  int number_ = static_cast<int>(
      std::chrono::steady_clock::now().time_since_epoch().count() % 1000000 + 1000);
};

Speed ToSpeed(const Samples& samples) {
  Speed speed;
  const auto spread = [](std::vector<double> values) {
    std::erase(values, 0.0);
    return values.empty() ? Spread{} : MedianSpread(values);
  };
  speed.prefill_tps = spread(samples.prefill);
  speed.decode_tps = spread(samples.decode);
  speed.ttft_ms = spread(samples.ttft_ms);
  speed.load_ms = spread(samples.load_ms);
  speed.prompt_tokens = static_cast<int>(samples.prompt_tokens);
  speed.decode_tokens = static_cast<int>(samples.answer_tokens);
  speed.prefill_samples = samples.prefill;
  speed.decode_samples = samples.decode;
  return speed;
}

}  // namespace

Result<std::vector<Speed>> MeasureServed(OllamaClient& client,
                                         const std::vector<ServedSubject>& subjects,
                                         const ServedSpeedOptions& options,
                                         const std::function<void(double)>& progress) {
  Visits visits(client, options);
  std::vector<Samples> samples(subjects.size());
  const double budget = std::max(options.budget_seconds, 0.001);
  bool over = false;
  for (int round = 0; round < options.rounds && !over; ++round) {
    over = round >= options.min_rounds && visits.spent() >= budget;
    for (size_t i = 0; i < subjects.size() && !over; ++i) {
      const size_t at = round % 2 == 0 ? i : subjects.size() - 1 - i;
      TRY_STATUS(visits.Visit(subjects[at], samples[at]));
      over = options.most_seconds ? visits.over()
                                  : round > 0 && visits.spent() >= kMostBudgets * budget;
      if (progress)
        progress(std::clamp(visits.spent() / budget, (round + 1.0) / options.rounds, 1.0));
    }
  }
  std::vector<Speed> speeds;
  for (const Samples& one : samples) speeds.push_back(ToSpeed(one));
  return speeds;
}

}  // namespace trimma
