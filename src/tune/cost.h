// What measuring takes, so that what is begun fits into the budget (pure).
#pragma once

#include "measure/speed.h"
#include "tune/space.h"

namespace trimma {

struct TrialCosts {
  double prefill_seconds = 0;  // of one visit of the defaults
  double decode_seconds = 0;
  // What a visit takes besides: the token that isn't timed, and the context filled again to its
  // depth where the engine can't cut it back.
  double around_seconds = 0;
  double load_seconds = 0;
  double fill_seconds = 0;  // of a new context, to its depth
  // From the start of a process to the first sample of its first candidate; 0: not known.
  double process_seconds = 0;
  // How many times longer starting and preparing took than was computed, at worst: warming up is
  // over when times have settled, which is later where much disturbs them.
  double pace = 1;
  bool one_resident = false;  // other settings in between drop the model or its context
  // Every visit is the start of a process, measured as part of it: nothing is prepared, and a round
  // visits the anchor once, however many there are beside it.
  bool starts_each_visit = false;
};

// From the defaults' measured speed; `decode_tokens` of the visits to come.
TrialCosts CostsOf(const Speed& defaults, int decode_tokens, int parallel, bool one_resident);

double VisitSeconds(const TrialCosts& costs, Phases phases);

// A process with the defaults alone, before the first round: as it was measured, or what its parts
// take.
double StartSeconds(const TrialCosts& costs);

// Rounds that a race does of everybody, however little time is left.
inline constexpr int kFewestRounds = 3;

// A race before any candidate is in it: the start, and where every round visits the anchor, the
// fewest of them.
double BareRaceSeconds(const TrialCosts& costs);

// Before the first round: loads, a context filled, warming up.
double PrepareSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                      const SpeedSubject& candidate);
// Getting its context, and its model, back where another's had to make room; 0: it needn't.
double SwitchSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                     const SpeedSubject& candidate);
// One round of it, with its share of the anchor's visits (unless BareRaceSeconds() has them) and of
// what it makes the anchor do anew.
double RoundSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                    const SpeedSubject& candidate);
// Both, of the fewest rounds.
double FewestSeconds(const TrialCosts& costs, const SpeedSubject& defaults,
                     const SpeedSubject& candidate);

}  // namespace trimma
