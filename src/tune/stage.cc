#include "tune/stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "tune/cost.h"

namespace trimma {
namespace {

constexpr int kMaxRounds = 400;
constexpr int kJudgedTokens = 128;  // at the end of each chunk

}  // namespace

SpeedOptions StageOptions(const TuneOptions& options) {
  SpeedOptions speed;
  speed.prompt_tokens = options.prompt_tokens;
  speed.decode_tokens = options.decode_tokens;
  speed.depth = options.depth;
  speed.rounds = kMaxRounds;
  speed.min_rounds = kFewestRounds;
  speed.load_repeats = 1;
  speed.race = true;
  speed.seed = options.seed;
  speed.exchange.answer_tokens = options.purpose == TuneFor::kDocuments ? 0 : options.answer_tokens;
  speed.exchange.users = options.users;
  // A visit that lasts longer than the whole budget is no trial of it.
  speed.trial_seconds = std::clamp(options.budget_seconds, 60.0, 600.0);
  // Contexts of several candidates at once would not fit a card that is well used.
  if (options.has_gpu && options.defaults.use_gpu) {
    speed.resident = 1;
    // Changes of placement load the model anyway.
    speed.load_repeats = 0;
  }
  return speed;
}

PhaseSeconds SecondsOf(const TuneOptions& options, const Speed& defaults) {
  const Exchange exchange = StageOptions(options).exchange;
  const int parallel = options.defaults.parallel;
  const double prefill = defaults.prompt_tokens / defaults.prefill_tps.median;
  const double decode = defaults.decode_tokens * parallel / defaults.decode_tps.median;
  return {ExchangeTime(exchange, defaults.decode_tokens, parallel, prefill, 0),
          ExchangeTime(exchange, defaults.decode_tokens, parallel, 0, decode)};
}

RuntimeSettings WithPromptThreads(const TuneOptions& options, RuntimeSettings settings) {
  const RuntimeSettings& defaults = options.defaults;
  if (settings.threads != defaults.threads && !settings.threads_batch)
    settings.threads_batch =
        defaults.threads_batch.value_or(defaults.threads.value_or(options.cores));
  return settings;
}

std::string ExchangeText(const TuneOptions& options) {
  if (options.purpose == TuneFor::kDocuments)
    return fmt::format("a prompt of {} tokens", options.prompt_tokens);
  const std::string users =
      options.users > 1 ? fmt::format("{} users, each with ", options.users) : "";
  return fmt::format("{}a prompt of {} and an answer of {} tokens", users, options.prompt_tokens,
                     options.answer_tokens);
}

int JudgingDepth(const TuneOptions& options) {
  const int depth = options.depth + options.prompt_tokens;
  const auto longest = static_cast<int>(options.trained_context);
  // One more: the last token is only predicted.
  return longest == 0 ? depth : std::clamp(depth, 1, std::max(1, longest - kJudgedTokens - 1));
}

QualityOptions KvJudging(const TuneOptions& options, double seconds_left) {
  QualityOptions quality;
  quality.text_file = options.text_file;
  quality.chunks = 8;
  quality.last = kJudgedTokens;
  quality.chunk = JudgingDepth(options) + kJudgedTokens + 1;
  quality.budget_seconds = seconds_left / 2;
  // On the host it would take a time that nobody has computed.
  quality.may_leave_cards = false;
  quality.generate_seconds = std::clamp(seconds_left / 8, 2.0, 20.0);
  return quality;
}

double KvJudgingSeconds(const TuneOptions& options, const Speed& defaults) {
  // Loading, and text where it has to be generated.
  constexpr double kBeginning = 3;
  const double tokens = 2.0 * kFewestChunks * KvJudging(options, 0).chunk;
  return kBeginning + tokens / defaults.prefill_tps.median;
}

Json AskedOf(const TuneOptions& options) {
  return {{"for", NameOf(options.purpose)},
          {"users", options.users},
          {"prompt_tokens", options.prompt_tokens},
          {"answer_tokens", options.answer_tokens},
          {"depth", options.depth}};
}

}  // namespace trimma
