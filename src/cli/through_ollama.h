// measure, compare and tune with a running Ollama as the engine: no model file is opened, nothing
// of Ollama's is changed. Ollama gives no logits, so that quality can't be measured through it.
#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "cli/runtime_options.h"
#include "measure/compare.h"
#include "ollama/served_speed.h"
#include "tune/tune.h"

namespace trimma {

struct ThroughOllama {
  std::vector<std::string> models;  // with or without "ollama:"
  RuntimeOptions runtime;
  int prompt_tokens = 256;  // about so many: Ollama counts them
  int answer_tokens = 24;
  int rounds = 12;
  double seconds = 30;
  std::string why;  // Ollama, where the user named nobody; "" where they did
};

// Per-request options. kUsage for what Ollama takes from its environment only.
Result<Json> OllamaOptions(const RuntimeOptions& runtime);

// "ollama:gemma3:4b" and "gemma3:4b" are the same here.
std::string NameInOllamaOf(const std::string& model);

// Where the weights lie, for the history; "" where the store can't be read.
std::string PathInStore(const std::string& name);

// A document of trimma.measure/1 with speeds alone.
Result<Json> MeasureThroughOllama(const ThroughOllama& wish, Progress& progress);
std::string DescribeMeasured(const Json& document);

// Speeds and answers of models of this Ollama, side by side.
struct OllamaComparison {
  ThroughOllama speed;
  bool with_speed = true, with_answers = true;
  std::vector<std::string> prompts;
  int most_tokens = 96;  // of an answer
};
Result<Comparison> CompareThroughOllama(const OllamaComparison& wish, Progress& progress);

// num_thread and num_batch by measurement. `cores` and `threads` are the machine's.
struct OllamaTuning {
  ThroughOllama speed;
  int answer_tokens = 128;  // what the time that counts is made of, besides the prompt
  int cores = 1;
  int threads = 1;
};
Result<TuneResult> TuneThroughOllama(const OllamaTuning& wish, Progress& progress);

}  // namespace trimma
