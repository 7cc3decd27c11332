// One choice of a plan: a type, a context, a KV cache, a placement, and what it is worth.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/price.h"
#include "engine/runtime.h"
#include "plan/estimate.h"

namespace trimma {

struct PlanCell {
  std::string type;  // "Q4_K_M"
  uint64_t file_bytes = 0;
  RuntimeSettings settings;             // gpu_layers filled in as placed
  std::vector<DeviceBytes> devices;     // GPUs in order, left out or not; the host last
  bool fits = false;                    // on every device, what must stay free there included
  bool whole = false;                   // all layers on the GPUs; without a GPU: all on the host
  std::optional<Estimate> decode_tps;   // at half the context filled
  std::optional<Estimate> prefill_tps;  // of a prompt of PromptTokens(context)
  std::optional<Estimate> ttft_ms;      // of that prompt: the wait before the first word
  std::optional<Estimate> mean_kld;     // nats a token; 0 for an unquantised source as it is
  bool pareto = false;
  size_t mix = 0;  // index into Pricing::mixes
};

// The prompt that prefill and time to first token are told for: a quarter of the context, at most
// 2048 tokens (about 1500 words).
constexpr uint32_t PromptTokens(uint32_t context) { return context < 8192 ? context / 4 : 2048; }

// Bytes on all devices.
uint64_t AllBytes(const PlanCell& cell);

Json ToJson(const PlanCell& cell);

}  // namespace trimma
