// The file pipeline: source tensors in, quantised tensors out, row by row in bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "gguf/imatrix.h"
#include "plan/assignment.h"
#include "quantize/calibration/moments_file.h"

namespace trimma {

struct PipelineOptions {
  std::string output;
  uint64_t memory_bytes = 1ULL << 30;  // buffers of all threads together
  int threads = 1;
  bool force = false;  // replace an existing output
  bool exact = false;  // the bytes of llama-quantize instead of the least error
  // Second moments of the model's inputs: errors are weighed by their diagonals, or compensated
  // for where that is better. nullptr: none.
  const MomentsFile* moments = nullptr;
  bool compensate = true;
};

// How a tensor's weights are rounded: not at all, all errors alike, weighed by the sums of squares
// of their inputs, or so that they make up for each other (where that is better).
enum class Rounding { kKept, kAlike, kWeighed, kWithCompensation };
const char* NameOf(Rounding rounding);
Rounding RoundingOf(const TensorInfo& tensor, TensorType to, const Importance* importance,
                    const PipelineOptions& options);

// Writes `layout` for `source` with the assigned types. `importance` may be nullptr. Publishes
// atomically; an interrupt leaves a part that the same call resumes. `progress` gets the share of
// bytes done.
Status RunPipeline(const GgufFile& source, const Assignment& assignment, const GgufLayout& layout,
                   const Importance* importance, const PipelineOptions& options,
                   const std::function<void(double)>& progress);

}  // namespace trimma
