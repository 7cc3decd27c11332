// KV-cache bytes from a model's metadata. For showing; plans ask the engine's allocator.
#pragma once

#include <cstdint>
#include <optional>

#include "gguf/reader.h"

namespace trimma {

struct KvShape {
  uint64_t bytes_per_token = 0;  // all layers, K and V in f16
  uint64_t windowed_bytes_per_token =
      0;                // of which by layers that keep only the last `window` tokens
  uint64_t window = 0;  // 0: no sliding window
};

// sum over layers of kv_heads * (key_length + value_length) * 2. nullopt where the metadata lacks
// head counts (recurrent models keep a state, not a cache) or uses compressed attention (MLA).
std::optional<KvShape> KvBytesPerToken(const GgufFile& file);

// Whether this layer keeps and sees only the last `sliding_window` tokens.
bool IsWindowedLayer(const GgufFile& file, uint64_t layer);

// False where the block of a KV-cache type doesn't divide the model's head sizes: the engine
// refuses it.
bool KvTypeFitsHeads(const GgufFile& file, TensorType kv);

}  // namespace trimma
