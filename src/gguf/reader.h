// A strict reader of GGUF files, versions 2 and 3, whole or split.
//
// Nothing is believed: every count and size is computed in checked 64-bit arithmetic and
// compared with the real file size before anything is read or allocated; the first fault
// is reported with its byte offset. What this reader accepts is safe to hand to ggml.
// Tensor data is never read here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/types.h"
#include "gguf/value.h"

namespace trimma {

struct TensorInfo {
  std::string name;
  TensorType type{};
  std::vector<uint64_t> shape;  // 1 to 4 dimensions, fastest first: [row length, rows, ...]
  uint64_t bytes = 0;
  uint64_t offset = 0;  // of the data from the start of its file, in bytes
  uint32_t shard = 0;   // which file of GgufFile::paths

  uint64_t elements() const;
  uint64_t row_length() const { return shape[0]; }
  uint64_t rows() const { return elements() / shape[0]; }
  bool operator==(const TensorInfo&) const = default;
};

struct GgufFile {
  std::vector<std::string> paths;  // one, or all shards in order
  uint64_t file_bytes = 0;         // over all shards
  uint32_t version = 3;
  uint64_t alignment = 32;
  uint64_t data_offset = 0;  // of the data section in the first file
  Metadata metadata;         // of the first file; split.* keys included
  std::vector<TensorInfo> tensors;

  std::string architecture() const;                           // "" if the key is absent
  uint64_t parameters() const;                                // elements over all tensors
  double bits_per_weight() const;                             // tensor bytes * 8 / parameters
  const TensorInfo* FindTensor(std::string_view name) const;  // linear
};

// Opens `path`; if it is one shard of a split model (any of them), all are opened and checked
// against each other. Errors: kInvalid ("x.gguf, byte 24: ..."), kNotFound, kPermission, kIo.
Result<GgufFile> ReadGguf(const std::string& path);

// The same from bytes in memory: the head of a file of `file_bytes` in all. For fuzzing, and for
// headers fetched over a network; kInvalid if the head is too short to hold the whole header.
Result<GgufFile> ParseGguf(std::string_view head, uint64_t file_bytes, const std::string& name);

// The same while the head still grows: nullopt where more of it is needed.
Result<std::optional<GgufFile>> ParseGrowingGguf(std::string_view head, uint64_t file_bytes,
                                                 const std::string& name);

}  // namespace trimma
