// The memory of a vision or audio projector (mmproj), which llama-server loads beside a model.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "engine/runtime.h"
#include "gguf/reader.h"

struct ggml_backend_device;

namespace trimma {

struct ProjectorBytes {
  uint64_t gpu_bytes = 0;  // on the first GPU
  uint64_t host_bytes = 0;
};

struct ProjectorPlace {
  // Phantoms, of which the first takes it; empty: the host; nullopt: the engine's first GPU.
  std::optional<std::vector<ggml_backend_device*>> devices;
  FlashAttention flash_attention = FlashAttention::kAuto;
};

// Weights and compute buffers, by the engine's own loader and graph. The graph is of the image
// that the loader warms up with: of the usual kinds, which scale every picture to one size, that
// is the largest there is; where the size is free, a larger picture takes more. `file` may be a
// header alone. kInvalid where the engine can't load it.
Result<ProjectorBytes> PriceProjector(const GgufFile& file, const ProjectorPlace& place);

}  // namespace trimma
