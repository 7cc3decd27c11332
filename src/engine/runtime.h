// How a model is run: the settings that trimma tunes and writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

enum class FlashAttention { kAuto, kOn, kOff };

// How weights get from the file into memory, as llama-server's --load-mode names them.
enum class LoadMode {
  kAuto,         // mapped, unless a device can't
  kRead,         // read into memory of its own: slower to load, may get huge pages
  kMapped,       // mapped: pages are the page cache's, and may be dropped
  kMappedLocked  // mapped, and kept from being dropped
};

struct RuntimeSettings {
  uint32_t context = 4096;
  uint32_t batch = 2048;             // logical: tokens submitted at once
  uint32_t ubatch = 512;             // physical: tokens computed at once
  std::optional<int> threads;        // decode; nullopt: llama-server's default, the physical cores
  std::optional<int> threads_batch;  // prefill; nullopt: as threads
  FlashAttention flash_attention = FlashAttention::kAuto;
  std::string kv_k = "f16";
  std::string kv_v = "f16";
  std::optional<int> gpu_layers;  // as -ngl counts, output layer included; nullopt: all that fit
  // false: the GPUs are left out wholly, as llama-server's --device none, and gpu_layers means
  // nothing. Without any layer there, a GPU still holds work buffers and computes large batches.
  bool use_gpu = true;
  // Sequences decoded side by side (llama-server's slots); they share the context's tokens.
  int parallel = 1;
  // Regular expressions of tensor names that stay on the host whatever gpu_layers says, as
  // --override-tensor PATTERN=CPU: the experts of some layers, for instance.
  std::vector<std::string> host_tensors;
  LoadMode load_mode = LoadMode::kAuto;
  // Weights rearranged at load for the CPU's kernels, as the engine's default. What is rearranged
  // is no longer mapped.
  bool repack = true;
  bool operator==(const RuntimeSettings&) const = default;
};

struct Sampling {
  double temperature = 0.8;
  double top_p = 0.9;
  std::string
      profile;  // "precise", "balanced", "creative", "model" (its own recommendation), "user"
  // The user named the profile. Else it may give way to what the model's owner has set.
  bool chosen = false;
  bool operator==(const Sampling&) const = default;
};

const char* NameOf(FlashAttention flash_attention);  // "auto", "on", "off"
const char* NameOf(LoadMode load_mode);              // "auto", "none", "mmap", "mmap+mlock"
// "flash attention off, ubatch 256": what of the settings differs from the defaults; "": nothing.
std::string Difference(const RuntimeSettings& defaults, const RuntimeSettings& settings);
Json ToJson(const RuntimeSettings& settings);
Result<RuntimeSettings> RuntimeSettingsFromJson(const Json& json);

}  // namespace trimma
