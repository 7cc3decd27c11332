// From prices to a plan: what fits, what it costs per token, what to take. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware/machine.h"
#include "plan/pricing.h"

namespace trimma {

struct PlanCell {
  std::string type;
  uint64_t file_bytes = 0;
  RuntimeSettings settings;
  std::vector<DeviceBytes> devices;  // GPUs in order, the host last
  bool fits = false;
  // Upper bound from bytes touched per token and the memory's measured bandwidth, at half the
  // context; nullopt where it wasn't measured or a GPU takes part (its bandwidth isn't known yet).
  std::optional<double> decode_tps;
  bool pareto = false;  // no other fitting cell is better in bits, context and bytes at once
  size_t mix = 0;
};

struct Plan {
  std::vector<PlanCell> cells;
  std::optional<size_t> recommended;  // nullopt: nothing fits
  std::string reason;
  std::vector<std::string> notes;
};

// Host memory kept free besides what the engine takes: our own process, its libraries and the
// system's working memory. The planner that learns the real margin per machine will replace it.
inline constexpr uint64_t kHostReserveBytes = 256ULL << 20;
// llama-server's default margin on a GPU (common/common.h, fit_params_target).
inline constexpr uint64_t kGpuMarginBytes = 1024ULL << 20;

// Bytes of weights that one decoded token reads: all, but of an embedding that isn't the head as
// well only one row, and of expert matrices only the share of the experts used.
uint64_t BytesPerToken(const GgufFile& file, const std::vector<TensorType>& types);

// Contexts worth showing: 2048, 4096, 8192, 16384 and the model's own maximum, none beyond it.
std::vector<uint32_t> UsualContexts(uint32_t trained_context);

// The model's context length from its metadata; 0 if absent.
uint32_t TrainedContext(const GgufFile& file);

Plan MakePlan(const GgufFile& file, const Machine& machine, const Pricing& pricing);

// trimma.plan/1 without the machine.
Json ToJson(const Plan& plan);

}  // namespace trimma
