// Whether guessing tokens ahead makes a model's answers come sooner, measured on real prompts.
//
// A guess that is right saves a step, and a wrong one costs some; which it is depends on the text.
// So each way of guessing answers the same prompts, greedily, beside the plain server: raced by
// rounds of starts, and the winner measured afresh in turns. What counts is the time of an answer
// from the request to its end, by token. The answers themselves must stay the same.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "llama_server/answer_cost.h"
#include "llama_server/arguments.h"
#include "llama_server/server.h"
#include "measure/speed.h"

namespace trimma {

struct SpeculationWish {
  SpeedSubject subject;
  std::vector<std::string> prompts;
  bool templated = false;  // each goes through the model's chat template
  int most_tokens = 128;   // of an answer
  std::string draft;       // path of a small model of the same vocabulary; "": none
  double budget_seconds = 60;
  AnswerCosts plain;    // of the plain server, as measured before
  int most_rounds = 6;  // of the race; the confirmation decides anyway
  int most_turns = 9;   // of the confirmation
  double most_start_seconds = 600;
};

struct SpeculationTrial {
  Speculation speculation;
  std::optional<Error> error;
  std::vector<double> log_gains;  // plain time / its time, one for each round
  int64_t drafted = 0;            // in the last round
  int64_t accepted = 0;
  int same_answers = 0;  // as the plain server's, of all prompts
  bool left = true;      // not eliminated
};

// Plain time / its time, 95 %; nullopt: measured less than twice.
std::optional<MeanInterval> GainOf(const SpeculationTrial& trial);

struct SpeculationResult {
  std::vector<SpeculationTrial> trials;
  std::vector<std::pair<std::string, std::string>> not_tried;  // what, why
  std::optional<Speculation> best;                             // proven faster; nullopt: none is
  MeanInterval gain = {1, 1, 1};                               // of the best, measured afresh
  int64_t pairs = 0;                                           // of starts, that it comes from
  double plain_tps = 0;  // answer tokens per second of the whole request
  double best_tps = 0;
  int prompts = 0;            // that were asked; fewer than wished where time is short
  int same_answers = 0;       // of the best, in the confirmation's last turn
  bool plain_repeats = true;  // the plain server said the same in all its starts
  std::string verdict;        // one sentence, also of what broke it off
  bool too_short = false;     // no time was left for a single way of guessing
  // What was done otherwise than wished, a sentence each.
  std::vector<std::string> notes;
  double seconds = 0;
};
Json ToJson(const SpeculationResult& result);

// An interrupt alone is an error: where anything else goes wrong, no speculation is proven faster,
// and the verdict says why.
Result<SpeculationResult> TuneSpeculation(const LlamaServerProgram& program,
                                          const SpeculationWish& wish,
                                          const std::function<void(double)>& progress);

}  // namespace trimma
