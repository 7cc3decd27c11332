// Speed of a model under given settings.
//
// Candidates are measured side by side in one process: in every round each of them, in random
// order, prefills a prompt and decodes an answer, so that a machine that slows down or is shared
// slows all alike. Each is warmed up before the first round.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/stats.h"
#include "engine/runtime.h"

namespace trimma {

struct Speed {
  Spread prefill_tps;  // prompt tokens per second
  Spread decode_tps;   // generated tokens per second
  Spread ttft_ms;      // time to first token of a prompt of prompt_tokens, empty cache
  Spread load_ms;      // model file to ready context, file in the page cache
  int prompt_tokens = 0;
  int decode_tokens = 0;
  int depth = 0;                        // tokens in the cache before decoding starts
  std::vector<double> prefill_samples;  // raw, in the order taken
  std::vector<double> decode_samples;
};

Json ToJson(const Speed& speed);
Result<Speed> SpeedFromJson(const Json& json);

struct SpeedOptions {
  int prompt_tokens = 512;
  int decode_tokens = 64;
  int rounds = 10;             // at most; at least 3 are done
  double budget_seconds = 30;  // no new round is begun after it
  int load_repeats = 2;        // loads that are timed, of each candidate
  // From the third round on, a candidate whose best round is slower than the first candidate's
  // worst is not measured further: the time goes to those that are undecided.
  bool drop_slower = false;
};

// What is measured: a model file under settings.
struct SpeedSubject {
  std::string path;
  RuntimeSettings settings;
};

struct SpeedTrial {
  SpeedSubject subject;
  std::optional<Error> error;  // this candidate can't run here; speed is empty then
  Speed speed;
};

// Measures all candidates in one child process, their models loaded together. The result has their
// order. `progress` gets the share done, 0 to 1.
Result<std::vector<SpeedTrial>> MeasureSpeed(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress = {});

// Seconds for the prompt and an answer of so many tokens, one value per round.
std::vector<double> ExchangeSeconds(const Speed& speed, int answer_tokens);

// The child's side.
Result<Json> SpeedJob(const Json& request, const Emit& emit);

}  // namespace trimma
