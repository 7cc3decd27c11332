// Speed of models through a running Ollama's own API: what a user of it gets.
//
// Models are visited in turns, forwards and backwards. Two names of the same weights share one
// place in Ollama's memory, so that a visit may begin with a load; its first, short answer warms
// it up and is not counted. Each prompt is another one from its first word on, or Ollama would
// take it from its cache.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "measure/served.h"
#include "measure/speed.h"
#include "ollama/client.h"

namespace trimma {

struct ServedSubject {
  std::string model;
  Json options = Json::object();  // num_ctx, num_gpu, num_thread, num_batch; over the model's own
};

struct ServedSpeedOptions {
  int prompt_words = 200;
  int answer_tokens = 24;      // above 30 Ollama may break off one that repeats a token
  int samples = 2;             // of each visit
  int min_rounds = 3;          // also where the time is over, unless it is thrice over
  int rounds = 12;             // at most
  double budget_seconds = 10;  // no new round after it
  // What runs then is cut, and nothing begins any more; nullopt: after thrice the budget no new
  // visit begins.
  std::optional<double> most_seconds;
};

// One for each subject, samples in the order of the rounds: the k-th ones of two subjects were
// taken one after the other; 0 where a round gave none. Time to first token and load are by
// Ollama's clock.
Result<std::vector<Speed>> MeasureServed(OllamaClient& client,
                                         const std::vector<ServedSubject>& subjects,
                                         const ServedSpeedOptions& options,
                                         const std::function<void(double)>& progress);

}  // namespace trimma
