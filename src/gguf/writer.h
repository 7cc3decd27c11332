// Writing GGUF version 3: the header as bytes; the tensor data is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/reader.h"

namespace trimma {

// One tensor of a file to be: its place follows from the order.
struct TensorPlan {
  std::string name;
  TensorType type{};
  std::vector<uint64_t> shape;
};

struct GgufLayout {
  std::string header;             // magic to the last byte before the data, padding included
  std::vector<uint64_t> offsets;  // of each tensor's data, from the start of the file
  std::vector<uint64_t> sizes;    // bytes of each tensor, padding excluded
  uint64_t file_bytes = 0;  // of the complete file (the last tensor padded, as ggml writes it)
};

// Lays out a file. `general.alignment` of the metadata counts (default 32). kInvalid where a
// shape doesn't divide into its type's blocks or a size overflows.
Result<GgufLayout> LayOutGguf(const Metadata& metadata, const std::vector<TensorPlan>& tensors);

}  // namespace trimma
