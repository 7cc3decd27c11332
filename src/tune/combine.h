// From trials to a choice (pure): how a trial is judged, which winners are tried together, and
// what a confirmation proves.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tune/space.h"

namespace trimma {

enum class TrialOutcome { kFaster, kNoDifference, kSlower, kFailed };
const char* NameOf(TrialOutcome outcome);

struct TuneTrialResult {
  Variation variation;
  std::optional<Error> error;
  Speed speed;  // of its phases
  TrialOutcome outcome = TrialOutcome::kNoDifference;
  // Time of the default / time of this, in its phases; above 1 is faster. 95 %.
  MeanInterval gain;
  bool left = true;               // the race didn't eliminate it
  std::vector<double> log_gains;  // that the gain was judged by, of all processes
};

// A difference only where its interval excludes 1 by a margin of 1 %, below which nobody feels it.
TrialOutcome Compare(const MeanInterval& gain);

// Whether they differ in what can change these phases: both, or one of them alone.
bool Changes(const RuntimeSettings& settings, const RuntimeSettings& defaults, Phases phases);

TuneTrialResult JudgeTrial(const Variation& variation, const SpeedTrial& trial);

// Which settings to try together, after each was tried alone. Settings of one phase are combined
// with each other; those that touch both phases are taken as they won, and all again under them.
struct Combination {
  Variation variation;
  bool shared = false;  // under the winners that touch both phases
  double promise = 0;   // logarithm of the gain that its parts had alone, together
};
// What promises most comes first.
std::vector<Combination> Combinations(const RuntimeSettings& defaults,
                                      const std::vector<TuneTrialResult>& alone);

// The defaults with the winning settings that touch both phases.
RuntimeSettings SharedWinners(const RuntimeSettings& defaults,
                              const std::vector<TuneTrialResult>& alone);

bool SameCache(const RuntimeSettings& a, const RuntimeSettings& b);
// Without the trials of these settings' KV-cache types.
void LeaveOutCache(const RuntimeSettings& settings, std::vector<TuneTrialResult>& trials);

// What a phase's time is worth in the whole: seconds of the default by the exchange.
struct PhaseSeconds {
  double prefill = 0;
  double decode = 0;
};

// Settings to confirm, at most two: the best of all, and where that changes what touches both
// phases, what promises most of another choice there and of the best without such changes. Empty
// where nothing looked better than the defaults.
std::vector<RuntimeSettings> Finalists(const RuntimeSettings& defaults,
                                       const std::vector<TuneTrialResult>& alone,
                                       const std::vector<Combination>& combinations,
                                       const std::vector<TuneTrialResult>& together,
                                       const PhaseSeconds& seconds);

// How much better what wasn't proven may still be: logarithms of gains, 0 where nothing is open.
struct Hidden {
  double prefill = 0;  // in that phase alone
  double decode = 0;
  double whole = 0;  // by the exchange's time, of what touches both
  void Add(Phases phases, double log_gain);
  double largest() const;
};
// The share of the whole exchange's time that they may save together, 0 to 1.
double MaySave(const Hidden& hidden, const PhaseSeconds& seconds);

// A finalist measured afresh beside the defaults: logarithms of gains, phase by phase.
struct Confirmation {
  RuntimeSettings settings;
  std::vector<double> prefill_log_gains;
  std::vector<double> decode_log_gains;
};

struct Choice {
  RuntimeSettings settings;
  size_t finalist = 0;               // whose settings these are, wholly or in part
  MeanInterval gain = {1, 1, 1};     // time of the default / time of these, by the exchange
  MeanInterval prefill = {1, 1, 1};  // of the prompt alone
  MeanInterval decode = {1, 1, 1};
  Hidden may_hide;  // in finalists that weren't proven
};

// The defaults, unless a finalist is proven faster by more than is felt: its median gain, exact by
// order statistics, with a chance of error of 5 % over all finalists and phases. Where a finalist
// differs in settings of one phase alone, the phases are decided apart.
Choice Decide(const RuntimeSettings& defaults, const std::vector<Confirmation>& finalists,
              const PhaseSeconds& seconds);

// Rounds that Decide needs so that an interval exists for two finalists.
inline constexpr int kConfirmRounds = 9;

}  // namespace trimma
