// The ways to lay a model's layers on GPUs and host, best first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/runtime.h"
#include "gguf/reader.h"

namespace trimma {

class Placements {
 public:
  // `layers` as -ngl counts.
  Placements(const GgufFile& file, int layers);

  size_t size() const { return static_cast<size_t>(layers_ + expert_layers_) + 1; }

  // Place 0 has all on the GPUs, the last nothing. In between each takes less of them than the one
  // before: experts of the first layers go to the host first, then whole layers.
  RuntimeSettings At(size_t place, RuntimeSettings settings) const;

 private:
  int layers_;
  int expert_layers_;  // layers with matrices of experts, 0 for a dense model
  int first_expert_layer_ = 0;
};

// The longest row that a matrix of the model multiplies: pools grow with it.
uint64_t WidestRow(const GgufFile& file);

}  // namespace trimma
