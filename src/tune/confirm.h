// The last step: finalists beside the defaults, measured afresh. Only it decides (pure).
#pragma once

#include <string>
#include <vector>

#include "measure/speed.h"
#include "tune/combine.h"
#include "tune/cost.h"

namespace trimma {

// The defaults, then each finalist's prompt and its decoding apart.
std::vector<SpeedSubject> ConfirmSubjects(const std::string& path, const RuntimeSettings& defaults,
                                          const std::vector<RuntimeSettings>& finalists);

struct ConfirmPlan {
  int processes = 1;
  int rounds = kConfirmRounds;  // of all processes together
};
// kConfirmRounds processes or more, as many as `seconds` hold, each with the same few rounds;
// otherwise one process.
ConfirmPlan PlanConfirmation(const TrialCosts& costs, const std::vector<SpeedSubject>& subjects,
                             double seconds);
// What the fewest rounds take: each in a process of its own where `seconds` hold that, else in one.
double ConfirmSeconds(const TrialCosts& costs, const std::vector<SpeedSubject>& subjects,
                      double seconds);

// What the trials of ConfirmSubjects() say, one for each finalist.
std::vector<Confirmation> ConfirmationsOf(const std::vector<RuntimeSettings>& finalists,
                                          const std::vector<SpeedTrial>& trials);

// The speed of what was chosen, from these trials alone: of a phase in which the choice is the
// default, the default's figures. The phases were visited apart, so that no times stand beside the
// samples.
Speed SpeedOfChoice(const Choice& choice, const std::vector<SpeedTrial>& trials);

}  // namespace trimma
