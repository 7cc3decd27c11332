#include "measure/prompt_advice.h"

#include <fmt/format.h>

#include "base/units.h"

namespace trimma {
namespace {

std::string Ms(double milliseconds) { return FormatSeconds(milliseconds / 1000); }

// Figures of which each is a median with an interval, added up.
ConversationCost Add(int64_t tokens, const Spread& prefill_ms, double prefills,
                     const Spread& decode_ms, double decodes) {
  const auto seconds = [&](double prefill, double decode) {
    return (prefill * prefills + decode * decodes) / 1000;
  };
  return {tokens, seconds(prefill_ms.median, decode_ms.median),
          seconds(prefill_ms.low, decode_ms.low), seconds(prefill_ms.high, decode_ms.high)};
}

double AnswerTokens(const Conversation& c) {
  return static_cast<double>(c.turns) * c.answer_tokens;
}

}  // namespace

ConversationCost CostUncached(const PromptReport& report, const PromptCost& prompt,
                              const Conversation& c) {
  const int64_t turn = prompt.question_tokens + c.answer_tokens;
  const int64_t turns = c.turns;
  // Turn i of n has i turns behind it.
  const int64_t tokens =
      turns * (prompt.tokens + prompt.question_tokens) + turn * (turns * (turns - 1) / 2);
  const double measured = prompt.tokens + prompt.question_tokens;
  return Add(tokens, prompt.cold_ms, static_cast<double>(tokens) / measured, report.decode_ms,
             AnswerTokens(c));
}

ConversationCost CostCached(const PromptReport& report, const PromptCost& prompt,
                            const Conversation& c) {
  const int64_t tokens = static_cast<int64_t>(c.turns) * prompt.question_tokens;
  return Add(tokens, prompt.warm_ms, c.turns, report.decode_ms, AnswerTokens(c));
}

Spread SavedMs(const PromptReport& report) {
  std::vector<double> saved;
  const std::vector<double>& full = report.prompt.cold_samples;
  const std::vector<double>& brief = report.shorter->cold_samples;
  for (size_t i = 0; i < std::min(full.size(), brief.size()); ++i)
    saved.push_back(full[i] - brief[i]);
  return MedianSpread(saved);
}

std::vector<std::string> AdviceFor(const PromptReport& report) {
  const PromptCost& p = report.prompt;
  std::vector<std::string> advice;
  if (p.warm_ms.high < p.cold_ms.low) {
    advice.push_back(fmt::format(
        "A kept prefix saves {} of {} before each first word. llama-server and Ollama keep it "
        "while "
        "the request begins with the same tokens: put what changes (date, name, documents) behind "
        "the prompt, not before or into it.",
        Ms(p.cold_ms.median - p.warm_ms.median), Ms(p.cold_ms.median)));
  } else {
    advice.push_back(fmt::format(
        "Keeping the prompt's prefix gained nothing that could be measured ({} with, {} "
        "without): it needs no care.",
        Ms(p.warm_ms.median), Ms(p.cold_ms.median)));
  }
  advice.push_back(
      fmt::format("Loading takes {}. Ollama unloads a model 5 minutes after its last answer "
                  "(keep_alive 5m); the "
                  "next first word then comes after {} instead of {}. Where pauses are longer, "
                  "OLLAMA_KEEP_ALIVE "
                  "(1h, or -1 for ever) avoids that, for the memory the model holds meanwhile.",
                  Ms(report.load_ms.median), Ms(report.load_ms.median + p.cold_ms.median),
                  Ms(p.warm_ms.median)));
  advice.push_back(fmt::format(
      "The prefix takes {} of KV cache in each slot that serves it; fetched back from host memory "
      "(llama-server's --cache-ram) it is there after {}.",
      FormatBytes(p.kv_bytes), Ms(p.restore_ms.median)));
  return advice;
}

}  // namespace trimma
