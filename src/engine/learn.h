// What a card really has: the memory that the driver takes for a load beyond its buffers, found by
// real loads with the context filled, since pools grow while computing.
//
// The difference in the driver's own count of free memory, seen by another process that holds a
// context of its own all the while, less the buffers that the engine knows of.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/runtime.h"
#include "gguf/reader.h"
#include "hardware/overhead.h"

namespace trimma {

// One load on one GPU.
struct OverheadSample {
  size_t gpu = 0;
  uint32_t context = 0;
  uint32_t ubatch = 0;
  uint64_t widest_row = 0;
  bool split = false;
  uint64_t context_bytes = 0;  // of a process that does nothing
  uint64_t buffer_bytes = 0;   // weights, KV cache and compute buffers on this GPU
  uint64_t used_bytes = 0;     // by the driver's count
  int64_t overhead_bytes() const {
    return static_cast<int64_t>(used_bytes) - static_cast<int64_t>(buffer_bytes);
  }
  bool operator==(const OverheadSample&) const = default;
};

struct LearnRequest {
  std::string path;  // of a model, read and checked
  uint64_t widest_row = 0;
  int layers = 0;  // as -ngl counts: fewer on the GPU are a split
  std::vector<RuntimeSettings> loads;
};

// Loads the model once per settings, each in a process of its own, and fills the context. A load
// that fails is left out; kNoFit where all fail; kBusy where another program took or gave memory of
// a card during one, three times in a row.
Result<std::vector<OverheadSample>> LearnOverhead(
    const LearnRequest& request, const std::function<void(double share)>& progress);

// Of one GPU's samples (not empty): two physical batches show the pools' growth, a split load what
// it takes more. The margin is the spread of the whole loads and kLearnedMargin.
Overhead FitOverhead(const std::vector<OverheadSample>& samples);

// What a later load may take more than those learned from (kernels loaded on first use, the
// granularity of the driver's pages). `./dev bench plan_gpu` counts loads that fail with it.
inline constexpr uint64_t kLearnedMargin = 64ULL << 20;

// Whether every card has what it had before, by less than a margin.
bool IsAsFree(const std::vector<uint64_t>& before, const std::vector<uint64_t>& now);
// Whether `free` says the same, by less than a margin, for so long.
bool StaysAsFree(const std::function<std::vector<uint64_t>()>& free,
                 std::chrono::milliseconds watched);

// The child's side, and its own children's.
Result<Json> LearnJob(const Json& request, const Emit& emit);
Result<Json> FillJob(const Json& request, const Emit& emit);
Result<Json> IdleJob(const Json& request, const Emit& emit);

}  // namespace trimma
