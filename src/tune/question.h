// What a tuning asks, as a journal keeps it.
#pragma once

#include <string>

#include "base/child.h"
#include "tune/tune.h"

namespace trimma {

// All that the trials depend on: the file's stamp, the engine, the machine, the options.
Result<Json> TuneQuestion(const std::string& path, const TuneOptions& options);

}  // namespace trimma
