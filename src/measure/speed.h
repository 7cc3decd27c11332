// Speed of a model under given settings, measured like an experiment.
//
// Candidates are measured side by side in one process. The first is the anchor: it is measured
// again after every few of the others, which come in random order (speed_order.h), and what lies
// between two of its visits is compared with it. Where the anchor itself changed (heat, another
// process), what lies between is discarded. Each candidate is warmed up until its time settles. Raw
// samples are kept with their times; docs/measuring.md tells why each of this is done, with
// figures.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/stats.h"
#include "engine/runtime.h"
#include "hardware/energy.h"

namespace trimma {

// Under what the samples were taken; the same for all candidates of one run.
struct SpeedConditions {
  int warm_ups = 0;   // evaluations before the first sample of this candidate
  int segments = 0;   // stretches between two visits of the anchor that were judged for drift,
  int discarded = 0;  // of which discarded for drift
  // The candidate had no steady stretch at all: its samples are discarded ones.
  bool unsteady = false;
  // Of all processors, the share that others had; nullopt: not known here.
  std::optional<double> others_share;
  double stolen_seconds = 0;              // another guest of the host had a processor
  std::optional<double> stalled_seconds;  // somebody waited for a processor
  double seconds = 0;                     // from the first sample to the last
};

struct Speed {
  Spread prefill_tps;  // prompt tokens per second
  Spread decode_tps;   // generated tokens per second, of all sequences together
  Spread ttft_ms;      // time to first token of a prompt of prompt_tokens, `depth` in the cache
  Spread load_ms;      // model file to ready context, file in the page cache
  int prompt_tokens = 0;
  int decode_tokens = 0;
  int depth = 0;                        // tokens in the cache before the prompt, or before decoding
  std::vector<double> prefill_samples;  // raw, in the order taken
  std::vector<double> decode_samples;
  std::vector<double> sample_seconds;  // when they began, from the first one's beginning on
  // What the cards used in all visits together; nullopt: nothing on a card, or it doesn't tell.
  std::optional<EnergyUse> prefill_energy;
  std::optional<EnergyUse> decode_energy;
  SpeedConditions conditions;
};

Json ToJson(const Speed& speed);
Result<Speed> SpeedFromJson(const Json& json);

// What of a candidate is measured: a setting that touches one phase alone needs no other.
enum class Phases { kBoth, kPrefill, kDecode };

// What is measured: a model file under settings.
struct SpeedSubject {
  std::string path;
  RuntimeSettings settings;
  Phases phases = Phases::kBoth;
};

// Settings under which weights lie alike in memory.
bool SamePlacement(const SpeedSubject& a, const SpeedSubject& b);
// Settings that one context serves: threads are set anew for each visit.
bool SameContext(const SpeedSubject& a, const SpeedSubject& b);

// What time is asked about: so many users, each with a prompt, and an answer of so many tokens.
// A setting with fewer parallel sequences than users serves them in turns.
struct Exchange {
  int answer_tokens = 128;  // 0: the prompt alone counts
  int users = 1;
};

// Processes whose figures become an interval: the fewest of which the smallest and the largest hold
// the median with 99 %. What processes differ by comes in waves, which costs an interval some of
// that (docs/measuring.md).
inline constexpr int kSpeedProcesses = 8;

struct SpeedOptions {
  int prompt_tokens = 512;
  int decode_tokens = 64;
  int depth = 0;    // tokens in the cache beforehand
  int rounds = 10;  // at most; at least min_rounds are done
  int min_rounds = 3;
  // Processes that the rounds are divided among. Samples of one process are alike in what it
  // happened to get (memory, threads' places) and in the seconds it ran; of several, each gives one
  // figure, its median, and the intervals are those of such figures.
  int processes = 1;
  double budget_seconds = 30;  // no new round is begun that would end after it
  // Of the whole call, preparing included: no process and no round but the first is begun that
  // would end after it, min_rounds or not.
  std::optional<double> most_seconds;
  double trial_seconds = 300;  // a candidate that is silent for so long hangs, and has failed
  int load_repeats = 2;        // loads that are timed, of each placement; 0: those between visits
  // Candidates that can't be the fastest are measured no further (speed_race.h): those of each
  // kind of phases among themselves and with the anchor, both phases by the exchange's time.
  // Ends where all is decided.
  bool race = false;
  double race_error = 0.05;
  Exchange exchange;
  // Models and contexts that stay loaded at once; nullopt: all. 1 where a card's memory is tight.
  std::optional<int> resident;
  uint32_t seed = 7;  // of the order
};

struct SpeedTrial {
  SpeedSubject subject;
  std::optional<Error> error;  // this candidate can't run here; speed is empty then
  Speed speed;
  // The logarithm of the anchor's time over this one's, of its phases: one for each steady stretch;
  // of several processes, one for each, the median.
  std::vector<double> log_gains;
  bool left = true;  // with `race`: not eliminated
};

// Measures all candidates in one child process, their models loaded together. The result has their
// order. One that takes the child down, or hangs, has failed, which is its result: the others are
// measured without it, in the processes that follow too.
// `progress` gets the share done, 0 to 1.
Result<std::vector<SpeedTrial>> MeasureSpeed(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress = {});

// Whoever measures as MeasureSpeed() does: another engine, with the same contract.
using SpeedMeter = std::function<Result<std::vector<SpeedTrial>>(
    const std::vector<SpeedSubject>& candidates, const SpeedOptions& options,
    const std::function<void(double)>& progress)>;

// One trial from those of the same candidate in several processes.
SpeedTrial MergeTrials(const std::vector<SpeedTrial>& runs);

// Seconds for the prompt and an answer of so many tokens, one value per sample.
std::vector<double> ExchangeSeconds(const Speed& speed, int answer_tokens);

// Seconds of the whole exchange, from a prompt's and from those of `decode_tokens` steps of
// settings that decode `parallel` sequences at once.
double ExchangeTime(const Exchange& exchange, int decode_tokens, int parallel, double prefill,
                    double decode);

// Rounds of each of so many processes: as even as they can be, `rounds` together.
std::vector<int> DividedRounds(int rounds, int processes);

// How many of so many processes the budget holds, each taking so many seconds; as with rounds,
// min_rounds are done in any case.
int ExpectedProcesses(const SpeedOptions& options, int processes, double seconds_each);

// The options and trials on their way between the processes.
Json ToJson(const SpeedOptions& options);
SpeedOptions SpeedOptionsFromJson(const Json& json);
Json ToJson(const SpeedSubject& subject);
Result<SpeedSubject> SpeedSubjectFromJson(const Json& json);
Json ToJson(const SpeedTrial& trial);
Result<SpeedTrial> SpeedTrialFromJson(const Json& json);

// The child's side.
Result<Json> SpeedJob(const Json& request, const Emit& emit);

}  // namespace trimma
