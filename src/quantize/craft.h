// A file made to measure: types allocated by what each tensor is worth, rounded with compensation.
#pragma once

#include "quantize/quantize.h"

namespace trimma {

// Stages, each in a child process, each kept in the workshop beside the output until the whole is
// done: second moments of the calibration text; where types are to be allocated, a carrier of
// 8 bits and the sensitivities measured on it; the allocation; the file.
Result<QuantizeReport> CraftQuantize(const QuantizeOptions& options,
                                     const QuantizeProgress& progress);

}  // namespace trimma
