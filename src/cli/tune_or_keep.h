// Tuning as a step among others, which an answer that can't be had doesn't end.
#pragma once

#include <optional>
#include <string>

#include "base/progress.h"
#include "tune/tune.h"

namespace trimma {

struct KeptOrTuned {
  TuneResult result;
  std::optional<std::string> why_kept;  // nothing could be told; the defaults' speed was measured
};

// Where nothing can be told (the machine is busy, the time too short), the defaults stay.
Result<KeptOrTuned> TuneOrKeep(const std::string& model_path, const TuneOptions& options,
                               Progress& progress);

}  // namespace trimma
