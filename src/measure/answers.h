// What models answer to the same prompts, and where their answers part.
//
// Greedy: the most likely token each time, so that the same model says the same thing again. A
// prompt goes through the model's own chat template; where it has none, as it is.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "engine/runtime.h"
#include "measure/quality.h"

namespace trimma {

struct ModelAnswer {
  std::vector<int32_t> tokens;
  std::string text;
  bool ended = false;      // by itself, before the limit
  bool templated = false;  // asked through a chat template
  int prompt_tokens = 0;
  double seconds = 0;
};

Json ToJson(const ModelAnswer& answer);
ModelAnswer AnswerFromJson(const Json& json);  // throws what nlohmann throws

// One model's answers, in the prompts' order; in a child process of its own.
Result<std::vector<ModelAnswer>> AnswerPrompts(const Judged& model,
                                               const std::vector<std::string>& prompts,
                                               int most_tokens,
                                               const std::function<void(double)>& progress = {});

// Where two answers part.
struct Parting {
  bool same = false;         // they don't
  std::optional<int> token;  // the first token that differs; nullopt: vocabularies differ
  size_t byte = 0;           // of the text: so much is common, whole characters
};
Parting PartingOf(const ModelAnswer& a, const ModelAnswer& b, bool same_vocabulary);

// The child's side.
Result<Json> AnswersJob(const Json& request, const Emit& emit);

}  // namespace trimma
