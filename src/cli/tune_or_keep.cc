#include "cli/tune_or_keep.h"

#include <fmt/format.h>

namespace trimma {

Result<KeptOrTuned> TuneOrKeep(const std::string& model_path, const TuneOptions& options,
                               Progress& progress) {
  const auto say = [&](const std::string& stage, double share) { progress.Update(stage, share); };
  auto tuned = Tune(model_path, options, say);
  if (tuned.ok()) return KeptOrTuned{std::move(*tuned), std::nullopt};
  if (tuned.error().code != Code::kBusy && tuned.error().code != Code::kUsage) return tuned.error();
  // Tuning may have spent all that it had.
  SpeedOptions speed;
  speed.budget_seconds = options.budget_seconds / 4;
  speed.processes = kSpeedProcesses;
  TRY(const auto measured, MeasureSpeed({{model_path, options.defaults, Phases::kBoth}}, speed,
                                        [&](double share) { say("measuring speed", share); }));
  if (measured[0].error) return *measured[0].error;
  TuneResult kept;
  kept.default_settings = kept.best_settings = options.defaults;
  kept.default_speed = kept.best_speed = measured[0].speed;
  kept.gain = kept.prefill_gain = kept.decode_gain = {1, 1, 1};
  kept.verdict = fmt::format("the defaults are kept, for {}", tuned.error().what);
  return KeptOrTuned{std::move(kept), tuned.error().what};
}

}  // namespace trimma
