// What a model answers through a llama-server, as measure/answers.h asks our own engine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "llama_server/program.h"
#include "measure/answers.h"
#include "measure/speed.h"

namespace trimma {

// Greedy, in the prompts' order; `templated`: through the model's own chat template, where the
// server's version applies one by itself (answers say whether it did). Tokens are empty where it
// gives none.
struct ServedQuestions {
  std::vector<std::string> prompts;
  bool templated = false;
  int most_tokens = 96;
  double most_start_seconds = 600;
};
Result<std::vector<ModelAnswer>> AnswersThroughServer(const LlamaServerProgram& program,
                                                      const SpeedSubject& subject,
                                                      const ServedQuestions& questions,
                                                      const std::function<void(double)>& progress);

}  // namespace trimma
