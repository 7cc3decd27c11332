// What mixes of types and settings cost, asked of the engine in a child process.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/phantom.h"
#include "engine/price.h"
#include "engine/runtime.h"
#include "gguf/file_type.h"
#include "gguf/reader.h"
#include "hardware/overhead.h"
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
  RuntimeSettings settings;  // gpu_layers and host_tensors filled in as placed
  std::vector<DeviceBytes> devices;
};

// Whether each GPU has room for what lies there and what it keeps for itself; the host, the last,
// is the plan's business.
bool FitOnGpus(const std::vector<DeviceBytes>& devices);

struct KvTypes {
  std::string k = "f16";
  std::string v = "f16";
  bool operator==(const KvTypes&) const = default;
};

// Where a model is to run.
struct PricingTarget {
  // Cards to imagine; nullopt: the GPUs that this machine has; empty: none, the host alone.
  std::optional<std::vector<PhantomCard>> cards;
  // What is not free for buffers, of each GPU in order; GPUs beyond the list take the last one.
  std::vector<Overhead> overheads;
  // Logits for every token, as the engine's tools reserve; else one row a slot, as llama-server.
  bool bench_outputs = false;
  // A vision or audio projector beside the model, on the first GPU or else the host.
  std::optional<GgufFile> projector;
};

struct PricingRequest {
  std::vector<const FileType*> recipes;  // besides the file as it is
  std::vector<uint32_t> contexts;
  std::vector<KvTypes> kv;
  // The rest of the settings. gpu_layers: exactly so many; nullopt: as many as fit.
  RuntimeSettings base;
  PricingTarget target;
  // Where layers are placed as they fit: every choice with the GPUs left out too, after the others.
  // Otherwise those choices of which the GPUs can't hold even the work buffers.
  bool always_without_gpu = false;
};

struct Pricing {
  std::vector<Mix> mixes;  // [0] is the file as it is; recipes that change nothing are left out
  // Every mix x context x KV types, in this order; then those with the GPUs left out.
  std::vector<PricedCell> cells;
  int layers = 0;       // as -ngl counts
  size_t composed = 0;  // cells whose weights were put together with another cell's rest
  size_t checked = 0;   // of which were priced as a whole too, to the same bytes
};

// KV cache and compute buffers are priced by the engine for every context and KV type, a mix's
// weights once: what the others take doesn't depend on the weights' types while all layers lie on
// one side. Every twentieth such cell is priced as a whole too; should one differ, all are.
// Where layers are split between GPU and host, every cell is priced by itself, and it takes the
// most layers on the GPU that leave the overhead free. A mixture of experts keeps its attention on
// the GPU first, and gives up the experts of one layer after the other.
// `child`: one of kPricingJob that was started before, if any.
Result<Pricing> PriceMixes(const GgufFile& file, const PricingRequest& request,
                           std::optional<Child> child = std::nullopt);
inline constexpr const char* kPricingJob = "pricing";

// The memory of a file under exactly these settings; as if its tensors had these types, or its own
// where there are none.
Result<std::vector<DeviceBytes>> PriceSettings(const GgufFile& file,
                                               const RuntimeSettings& settings,
                                               const PricingTarget& target = {},
                                               const std::vector<TensorType>& types = {});

// Recipe types of a source, [recipe][tensor]. `forced`: as RecipeTypes (engine/recipe.h).
Result<std::vector<std::vector<TensorType>>> AskRecipes(
    const GgufFile& file, const std::vector<const FileType*>& recipes,
    const std::map<size_t, TensorType>& forced = {});

// The children's side.
Result<Json> PricingJob(const Json& request, const Emit& emit);
Result<Json> PriceJob(const Json& request, const Emit& emit);
Result<Json> RecipesJob(const Json& request, const Emit& emit);

}  // namespace trimma
