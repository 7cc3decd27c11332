// What a tuning says of its outcome, in a sentence (pure).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tune/combine.h"
#include "tune/tune.h"

namespace trimma {

// Other processes that take so much of the processors spoil a measurement.
inline constexpr double kBusyShare = 0.25;

// What went on beside the measurement, over all its steps.
struct Disturbance {
  int segments = 0;  // stretches judged for drift,
  int discarded = 0;
  double others_share = 0;  // of the processors, at most
};

// kBusy where so much went on, and so much may be hidden, that nothing was told at all.
Status CheckNotBusy(const Hidden& hidden, const Disturbance& disturbance);

// What of it the reader should know, one sentence each.
std::vector<std::string> NotesOn(const Disturbance& disturbance);

// `seconds`: of the defaults' phases; `untried`: settings that no time was left for.
std::string VerdictOf(const Choice& choice, const TuneOptions& options, const PhaseSeconds& seconds,
                      size_t untried);

}  // namespace trimma
