// What mixes of types and settings cost, asked of the engine in a child process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/price.h"
#include "engine/runtime.h"
#include "gguf/file_type.h"
#include "plan/assignment.h"

namespace trimma {

// A mix of types that a file could have: as it is, or by a recipe.
struct Mix {
  const FileType* recipe = nullptr;  // nullptr: the file as it is
  std::string label;                 // "Q4_K_M"
  Assignment assignment;
  uint64_t file_bytes = 0;
};

// The memory of one mix under one setting.
struct PricedCell {
  size_t mix = 0;
  RuntimeSettings settings;  // gpu_layers filled in as placed
  std::vector<DeviceBytes> devices;
};

struct PricingRequest {
  std::vector<const FileType*> recipes;  // besides the file as it is
  std::vector<uint32_t> contexts;
  std::vector<std::string> kv_types;  // the same for K and V
  bool bench_outputs =
      false;  // logits for every token, as the engine's tools reserve; else one slot
  uint64_t gpu_margin_bytes = 0;  // kept free on each GPU when placing layers
};

struct Pricing {
  std::vector<Mix> mixes;  // [0] is the file as it is; recipes that change nothing are left out
  std::vector<PricedCell> cells;  // every mix x context x KV type, in this order
  int layers = 0;                 // as -ngl counts
};

// KV cache and compute buffers are priced by the engine for every context and KV type; a mix's
// weights are priced once, since what the others take doesn't depend on the weights' types while
// the placement is the same (pricing_test.cc holds this against direct pricing of every cell).
// Where layers are split between a GPU and the host, every cell is priced by itself.
Result<Pricing> PriceMixes(const GgufFile& file, const PricingRequest& request);

// The memory of a file under exactly these settings, as llama-server runs it (one slot).
Result<std::vector<DeviceBytes>> PriceSettings(const GgufFile& file,
                                               const RuntimeSettings& settings);

// Recipe types of a source, [recipe][tensor].
Result<std::vector<std::vector<TensorType>>> AskRecipes(
    const GgufFile& file, const std::vector<const FileType*>& recipes);

// The children's side.
Result<Json> PricingJob(const Json& request, const Emit& emit);
Result<Json> PriceJob(const Json& request, const Emit& emit);
Result<Json> RecipesJob(const Json& request, const Emit& emit);

}  // namespace trimma
