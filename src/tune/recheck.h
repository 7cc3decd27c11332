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
  // What its quantised KV cache loses, where one was judged.
  std::optional<Quality> kv_quality;
  std::optional<JudgingText> kv_text;
};

// Whether a document's question and defaults are these, and the run was the engine's own, not one
// through a server.
bool AsksTheSame(const Json& document, const TuneOptions& options);

// From the document of a former run. nullopt where it can't be checked again: other defaults,
// another question, a document that says neither; and where a KV cache was judged on another text,
// under a stricter --max-kld than now, or loses more than is allowed now.
std::optional<FormerChoice> FormerChoiceFrom(const Json& document, const TuneOptions& options);

// What the confirmation's trials say of it (pure). A choice other than the defaults holds where it
// is proven faster again, in every phase that it changes. That the defaults are best can't be seen
// on them alone: it is taken to hold where they are shown to run as fast as then, the whole
// interval of now / then within 10 % of 1.
Recheck JudgeAgain(const FormerChoice& former, const TuneOptions& options,
                   const std::vector<SpeedTrial>& trials);

// Whether others, or the machine's own drift, disturbed it so much that it decides nothing (pure).
bool IsDisturbed(const SpeedConditions& conditions);

// kBusy where it was disturbed so much.
Result<Recheck> RecheckChoice(const std::string& model_path, const FormerChoice& former,
                              const TuneOptions& options,
                              const std::function<void(double)>& progress = {});

// A tuning's result that is the former one, still true.
TuneResult StillTrue(const FormerChoice& former, const TuneOptions& options,
                     const Recheck& recheck);

}  // namespace trimma
