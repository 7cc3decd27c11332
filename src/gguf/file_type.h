// File types ("Q4_K_M"): llama.cpp's names for recipes that give each tensor its type.
// The number is stored as general.file_type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/reader.h"

namespace trimma {

struct FileType {
  uint32_t id;            // enum llama_ftype
  const char* name;       // "Q4_K_M"
  TensorType base;        // the type most tensors get
  bool needs_importance;  // ggml refuses to make it without importance data
};

// Those that can be made today, from the most to the fewest bits.
const std::vector<FileType>& FileTypes();
std::vector<std::string> FileTypeNames();

// Case-insensitive; nullptr if unknown.
const FileType* FindFileType(std::string_view name);
const FileType* FindFileType(uint32_t id);

// What to call this file: its general.file_type, or the tensor type with the most bytes.
std::string TypeLabel(const GgufFile& file);

// True where most of the bytes are stored as F32, F16 or BF16: a source without quantisation loss.
bool IsUnquantised(const GgufFile& file);

}  // namespace trimma
