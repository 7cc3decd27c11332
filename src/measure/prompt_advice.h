// What follows from a system prompt's measured figures. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "measure/prompt_cost.h"

namespace trimma {

// A conversation: so many questions of the measured one's length, each with an answer.
struct Conversation {
  int turns = 10;
  int answer_tokens = 64;
};

struct ConversationCost {
  int64_t prefill_tokens = 0;  // evaluated, over all turns
  double seconds = 0;          // until the last answer is complete
  double low = 0, high = 0;    // by the intervals of what was measured
};

// Nothing is kept: each turn evaluates the prompt and all that was said, at the measured speed of
// the cold prompt.
ConversationCost CostUncached(const PromptReport& report, const PromptCost& prompt,
                              const Conversation& conversation);
// The prompt is kept from an earlier conversation, and each turn's answer in its place: each turn
// evaluates its question alone.
ConversationCost CostCached(const PromptReport& report, const PromptCost& prompt,
                            const Conversation& conversation);

// What a shorter prompt saves of a cold time to first token, round by round.
Spread SavedMs(const PromptReport& report);

// Sentences on keeping the model loaded and its prefix cached, each from the figures.
std::vector<std::string> AdviceFor(const PromptReport& report);

}  // namespace trimma
