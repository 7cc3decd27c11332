// Whether a former choice still holds where something it rests on changed (the engine, the driver,
// the machine, the model's file): its settings beside the defaults, in seconds instead of minutes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tune/tune.h"

namespace trimma {

struct FormerChoice {
  RuntimeSettings settings;
  Speed default_speed;  // as it was then
};

// From the document of a former run. nullopt where it can't be checked again: other defaults,
// another question, or a document that says neither.
std::optional<FormerChoice> FormerChoiceFrom(const Json& document, const TuneOptions& options);

// What the confirmation's trials say of it (pure). A choice other than the defaults holds where it
// is proven faster again, in every phase that it changes. That the defaults are best can't be seen
// on them alone: it is taken to hold where they run as fast as then, their intervals overlapping.
Recheck JudgeAgain(const FormerChoice& former, const TuneOptions& options,
                   const std::vector<SpeedTrial>& trials);

Result<Recheck> RecheckChoice(const std::string& model_path, const FormerChoice& former,
                              const TuneOptions& options,
                              const std::function<void(double)>& progress = {});

// A tuning's result that is the former one, still true.
TuneResult StillTrue(const FormerChoice& former, const TuneOptions& options,
                     const Recheck& recheck);

}  // namespace trimma
