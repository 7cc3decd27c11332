// Small models run whole on the host. Kernels in a model's own graph don't cost what they cost
// alone: starts overlap, threads stay awake, the next weights are on their way already. How much
// that is differs from machine to machine by a factor of several, so it is measured.
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "gguf/reader.h"
#include "hardware/kernels.h"

namespace trimma {

// The header of such a model: a llama with heads of 64, one of K and V to four of queries, and a
// vocabulary that costs nothing.
GgufFile FileOfRun(const ModelRun& shape);

// Runs a handful of shapes, from one that is all starts to one that is all weights. `go` is told
// the share done and says whether to go on; `seconds` is what all of it may take, roughly.
Result<std::vector<ModelRun>> RunModels(int threads, double seconds,
                                        const std::function<bool(double)>& go);

}  // namespace trimma
