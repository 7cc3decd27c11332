// Gathers second moments of a model's inputs by evaluating a text, in as many passes as the memory
// asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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

// What a model's matrices read: the inputs, and of every matrix its input's reader.
struct ModelInputs {
  std::vector<ModelInput> inputs;
  std::map<std::string, std::string> reads;
};

// By one evaluation of these tokens.
Result<ModelInputs> FindInputs(const Model& model, const std::vector<Token>& tokens, int threads);

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

// A model's inputs, found in a child process by the shortest of texts: for plans.
Result<std::vector<ModelInput>> AskInputs(const std::string& model, int threads);

// The child's side: {"model", "threads"}.
Result<Json> InputsJob(const Json& request, const Emit& emit);

}  // namespace trimma
