#include "llama_server/visit.h"

#include <fmt/format.h>

#include <algorithm>

#include "measure/served.h"

namespace trimma {
namespace {

constexpr int kWarmUpDecode = 4;
constexpr int kWarmUpPrompt = 64;
constexpr int kShortPrompt = 8;

class Visit {
 public:
  Visit(LlamaServer& server, const VisitWish& wish) : server_(server), wish_(wish) {}

  Result<StartFigures> Run() {
    StartFigures figures;
    figures.load_ms = server_.load_ms();
    TRY_STATUS(Ask(std::min(kWarmUpPrompt, wish_.prompt_tokens), kWarmUpDecode, false));
    for (int i = 0; i < wish_.samples; ++i) {
      ++number_;
      if (wish_.phases != Phases::kDecode) TRY_STATUS(Prefill(figures));
      if (wish_.phases != Phases::kPrefill) TRY_STATUS(Decode(figures));
    }
    return figures;
  }

 private:
  // Exactly so many tokens of prompt.
  Result<ServedAnswer> Ask(int prompt, int answer, bool stream) {
    TRY(std::vector<int32_t> tokens, server_.Tokenize(ServedPrompt(prompt, number_)));
    if (tokens.size() < static_cast<size_t>(prompt)) {
      return Error{Code::kInternal,
                   fmt::format("{} words were less than {} tokens", prompt, prompt), ""};
    }
    tokens.resize(static_cast<size_t>(prompt));
    ServedRequest request;
    request.tokens = std::move(tokens);
    request.most_tokens = answer;
    request.ignore_end = true;
    request.stream = stream;
    request.most_seconds = wish_.most_seconds;
    return server_.Complete(request);
  }

  Status Prefill(StartFigures& figures) {
    TRY(const ServedAnswer answer, Ask(wish_.prompt_tokens, 1, true));
    const auto rate = answer.PrefillRate();
    if (!rate || !answer.first_ms) {
      return Error{Code::kInvalid, "llama-server gave no time for a prompt", ""};
    }
    figures.prefill_tps.push_back(*rate);
    figures.ttft_ms.push_back(*answer.first_ms);
    return {};
  }

  // One more: the first token is the prompt's work.
  Status Decode(StartFigures& figures) {
    TRY(const ServedAnswer answer, Ask(kShortPrompt, wish_.decode_tokens + 1, false));
    const auto rate = answer.DecodeRate();
    if (!rate) return Error{Code::kInvalid, "llama-server gave no time for an answer", ""};
    figures.decode_tps.push_back(*rate);
    return {};
  }

  LlamaServer& server_;
  const VisitWish& wish_;
  int number_ = wish_.number;
};

// One figure of each start; of a single start, all.
std::vector<double> FiguresOf(const std::vector<StartFigures>& starts,
                              std::vector<double> StartFigures::* phase) {
  if (starts.size() == 1) return starts[0].*phase;
  std::vector<double> figures;
  for (const StartFigures& start : starts)
    if (!(start.*phase).empty()) figures.push_back(MedianSpread(start.*phase).median);
  return figures;
}

Spread SpreadOf(const std::vector<double>& figures) {
  return figures.empty() ? Spread{} : MedianSpread(figures);
}

}  // namespace

Result<StartFigures> VisitServer(LlamaServer& server, const VisitWish& wish) {
  return Visit(server, wish).Run();
}

Speed SpeedOf(const std::vector<StartFigures>& starts, const SpeedOptions& options) {
  Speed speed;
  speed.prompt_tokens = options.prompt_tokens;
  speed.decode_tokens = options.decode_tokens;
  speed.prefill_samples = FiguresOf(starts, &StartFigures::prefill_tps);
  speed.decode_samples = FiguresOf(starts, &StartFigures::decode_tps);
  speed.prefill_tps = SpreadOf(speed.prefill_samples);
  speed.decode_tps = SpreadOf(speed.decode_samples);
  speed.ttft_ms = SpreadOf(FiguresOf(starts, &StartFigures::ttft_ms));
  std::vector<double> loads;
  for (const StartFigures& start : starts) loads.push_back(start.load_ms);
  speed.load_ms = SpreadOf(loads);
  speed.conditions.warm_ups = static_cast<int>(starts.size());
  return speed;
}

}  // namespace trimma
