// What a system prompt costs, and what a shorter one would change.
//
// One child process loads the model. Each round measures, in random order, the time to first token
// with an empty cache (system prompt and question are evaluated) and with the prompt's prefix kept
// (the question alone), for both prompts where there are two, so that a slow moment hits all alike.
// What a shorter prompt changes is measured along the longer one's own greedy answers: both
// prompts predict each of their tokens, side by side, over the full vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/stats.h"
#include "engine/runtime.h"
#include "measure/prompt_repeats.h"

namespace trimma {

struct PromptCost {
  int tokens = 0;           // before any question: BOS, the template's words, the prompt
  int text_tokens = 0;      // of which the prompt itself
  int question_tokens = 0;  // the first question and the template's words behind the prefix
  uint64_t kv_bytes = 0;    // that the prefix takes in the cache, by the engine's own count
  Spread cold_ms;           // time to first token, empty cache
  Spread warm_ms;           // the same with the prefix kept in the cache
  Spread restore_ms;        // putting a prefix back that was kept aside in host memory
  std::vector<double> cold_samples, warm_samples;  // one of each per round
  std::vector<Repeat> repeats;
};

struct PromptAnswer {
  std::string question, answer, shorter_answer;
  bool same = false;    // token by token
  int same_tokens = 0;  // that both begin with
  int tokens = 0;       // of the longer prompt's answer, its end included
  double mean_kld = 0;  // over them
};

struct PromptChange {
  int64_t tokens = 0;  // scored
  double mean_kld = 0;
  std::optional<MeanInterval> interval;  // 95 %, from how questions differ; with two at least
  double p99_kld = 0;
  double same_top = 0;  // share of tokens
  int answers_same = 0;
  std::vector<PromptAnswer> answers;
};

struct PromptReport {
  std::string system_role;  // NameOf(SystemRole)
  Spread load_ms;           // file in the page cache to a ready context
  Spread decode_ms;         // per token of an answer
  int trained_context = 0;
  PromptCost prompt;
  std::optional<PromptCost> shorter;
  std::optional<PromptChange> change;
};

Json ToJson(const PromptReport& report);
Result<PromptReport> PromptReportFromJson(const Json& json);

struct PromptQuestion {
  std::string path;  // of the model
  RuntimeSettings settings;
  std::string prompt;
  std::optional<std::string> shorter;
  std::vector<std::string> questions;  // at least one
  int answer_tokens = 64;              // at most
  int rounds = 20;                     // at most; at least 3 are done
  double budget_seconds = 30;          // no new round is begun after it
};

// kNoFit: prompt, question and answer are longer than the model's context.
Result<PromptReport> MeasurePrompt(const PromptQuestion& question,
                                   const std::function<void(double)>& progress = {});

// The child's side.
Result<Json> PromptJob(const Json& request, const Emit& emit);

}  // namespace trimma
