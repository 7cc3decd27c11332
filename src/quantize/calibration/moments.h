// Gathers second moments of a model's inputs by evaluating a text, in as many passes as the memory
// asks for. What lies on a GPU is summed up there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/device_sums.h"
#include "engine/model.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/moments_file.h"
#include "quantize/calibration/passes.h"

namespace trimma {

struct GatherOptions {
  std::string output;  // a MomentsFile
  uint64_t memory_bytes = 1ULL << 30;
  int threads = 1;
  // Whose memory an input lies in and sums it up; nullptr: the host's.
  std::function<ggml_backend_device*(const ggml_tensor*)> device_of = DeviceOf;
  PassCost cost = PassCost::kLittle;
  std::string note;  // the beginning of the output's: how the model was loaded
};

struct Gathered {
  size_t passes = 0;
  std::vector<std::string> blocked;  // readers of inputs with diagonal blocks only
  size_t on_devices = 0;             // inputs that were summed up where they lie
  std::string note;                  // the output's: the options', and what had no device, and why
};

// `progress` gets the share done.
Result<Gathered> GatherMoments(const Model& model, const CalibrationText& text,
                               const GatherOptions& options,
                               const std::function<void(double)>& progress);

// The child's side: {"model", "text": a TextRequest, "predicts": whether predictions will be wanted
// too, "memory_bytes", "threads", "moments": path, "experts": path of the importance data of
// experts, where there are any, "tokens": path of the CalibrationText, which is made where it isn't
// there; "on_host": true sums up on the host whatever lies elsewhere, for the benchmark}.
// {"unsupported": why} where the engine can't evaluate the model.
Result<Json> MomentsJob(const Json& request, const Emit& emit);

// How it would go, which one evaluation of these tokens tells.
struct GatheringPlan {
  size_t inputs = 0;
  size_t passes = 0;
  size_t blocked = 0;  // inputs with diagonal blocks only
};
Result<GatheringPlan> PlanGathering(const Model& model, const std::vector<Token>& tokens,
                                    const GatherOptions& options);

// The same of a model in a child process, by the shortest of texts. No inputs where the engine
// can't evaluate the model.
Result<GatheringPlan> AskGathering(const std::string& model, uint64_t memory_bytes, int threads);

// The child's side: {"model", "memory_bytes", "threads"}.
Result<Json> GatheringJob(const Json& request, const Emit& emit);

}  // namespace trimma
