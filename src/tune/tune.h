// Finding the fastest settings by measurement.
//
// Two stages, so that a lucky sample never becomes a claim: the first measures variations of the
// defaults side by side and picks what looks faster; the second measures the defaults and the
// combination of the winners again, afresh, and only that decides. What lies inside the noise is
// "no difference", and the default stays.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "measure/quality.h"
#include "measure/speed.h"

namespace trimma {

struct TuneOptions {
  RuntimeSettings defaults;
  int prompt_tokens = 512;
  int decode_tokens = 48;
  int answer_tokens = 128;     // what the objective weighs: seconds for a prompt and such an answer
  double budget_seconds = 60;  // both stages together
  int cores = 1;               // of the machine
  int threads = 1;
  uint32_t trained_context = 0;  // of the model; 0: unknown
  double max_kv_kld = 0.01;      // a quantised KV cache is taken only with less mean KLD than this
  std::optional<std::string> text_file;  // to judge that on; nullopt: generated
};

// One variation of the defaults.
struct Variation {
  std::string what;  // "ubatch 1024"
  RuntimeSettings settings;
};

enum class TrialOutcome { kFaster, kNoDifference, kSlower, kFailed };
const char* NameOf(TrialOutcome outcome);

struct TuneTrialResult {
  Variation variation;
  std::optional<Error> error;
  Speed speed;
  TrialOutcome outcome = TrialOutcome::kNoDifference;
  MeanInterval
      gain;  // seconds of the default / seconds of this, by the objective; above 1 is faster
};

struct TuneResult {
  RuntimeSettings default_settings;
  Speed default_speed;
  RuntimeSettings best_settings;
  Speed best_speed;
  MeanInterval gain;    // of the second stage; {1, 1, 1} where nothing was to be confirmed
  std::string verdict;  // one sentence
  std::vector<TuneTrialResult> trials;
  std::optional<Quality> kv_quality;  // measured where a quantised KV cache looked faster
  double seconds = 0;
};

// The variations worth a measurement on this machine: threads, ubatch, flash attention, KV type.
std::vector<Variation> Variations(const TuneOptions& options);

// Compares by the ratio of medians; a difference only where its 95 % interval excludes 1 by a
// margin of 1 %, below which nobody feels it.
TrialOutcome Compare(const MeanInterval& gain);

// The settings with every winning variation applied: per knob the one with the largest gain.
RuntimeSettings Combine(const RuntimeSettings& defaults,
                        const std::vector<TuneTrialResult>& trials);

Result<TuneResult> Tune(
    const std::string& model_path, const TuneOptions& options,
    const std::function<void(const std::string& stage, double share)>& progress = {});

Json ToJson(const TuneResult& result);

}  // namespace trimma
