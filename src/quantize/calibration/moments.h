// Gathers second moments of a model's inputs by evaluating a text, in as many passes as the memory
// asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/model.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/moments_file.h"

namespace trimma {

// Which inputs are summed up together: each pass evaluates the whole text. Inputs whose moments
// alone are larger than the memory get the largest diagonal blocks that fit (multiples of 256).
std::vector<std::vector<size_t>> PlanPasses(std::vector<ModelInput>& inputs, uint64_t memory_bytes);

struct GatherOptions {
  std::string output;  // a MomentsFile
  uint64_t memory_bytes = 1ULL << 30;
  int threads = 1;
};

struct Gathered {
  size_t passes = 0;
  std::vector<std::string> blocked;  // readers of inputs with diagonal blocks only
};

// `progress` gets the share done.
Result<Gathered> GatherMoments(const Model& model, const CalibrationText& text,
                               const GatherOptions& options,
                               const std::function<void(double)>& progress);

// The child's side: {"model", "text_file" or null, "generate_seconds", "chunks", "memory_bytes",
// "threads", "moments": path, "tokens": path of the CalibrationText}.
Result<Json> MomentsJob(const Json& request, const Emit& emit);

}  // namespace trimma
