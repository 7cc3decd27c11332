// What all steps of a tuning measure alike (pure).
#pragma once

#include "measure/speed.h"
#include "tune/combine.h"
#include "tune/tune.h"

namespace trimma {

SpeedOptions StageOptions(const TuneOptions& options);

// What the exchange that is asked about takes, from a speed of the defaults.
PhaseSeconds SecondsOf(const TuneOptions& options, const Speed& defaults);

// Where decoding's threads are set and prefill's follow them, the defaults' own are set too.
RuntimeSettings WithPromptThreads(const TuneOptions& options, RuntimeSettings settings);

// "a prompt of 512 and an answer of 128 tokens".
std::string ExchangeText(const TuneOptions& options);

// How a quantised KV cache is judged: where the answer begins, at the depth that the prompt
// reaches.
int JudgingDepth(const TuneOptions& options);
QualityOptions KvJudging(const TuneOptions& options, double seconds_left);
// What that takes at least, by the defaults' speed.
double KvJudgingSeconds(const TuneOptions& options, const Speed& defaults);

// What was asked, so that a later run knows whether its question is the same.
Json AskedOf(const TuneOptions& options);

}  // namespace trimma
