#include "gguf/file_type.h"

#include <algorithm>
#include <map>

#include "base/text.h"

namespace trimma {
namespace {

TensorType MostBytes(const GgufFile& file) {
  std::map<TensorType, uint64_t> bytes;
  for (const TensorInfo& tensor : file.tensors) bytes[tensor.type] += tensor.bytes;
  TensorType most = tensor_type::kF32;
  uint64_t most_bytes = 0;
  for (const auto& [type, b] : bytes) {
    if (b > most_bytes) most = type, most_bytes = b;
  }
  return most;
}

}  // namespace

const std::vector<FileType>& FileTypes() {
  static const std::vector<FileType> types = {
      {0, "F32", tensor_type::kF32, false},        {32, "BF16", tensor_type::kBF16, false},
      {1, "F16", tensor_type::kF16, false},        {7, "Q8_0", tensor_type::kQ8_0, false},
      {18, "Q6_K", tensor_type::kQ6_K, false},     {9, "Q5_1", tensor_type::kQ5_1, false},
      {17, "Q5_K_M", tensor_type::kQ5_K, false},   {16, "Q5_K_S", tensor_type::kQ5_K, false},
      {8, "Q5_0", tensor_type::kQ5_0, false},      {3, "Q4_1", tensor_type::kQ4_1, false},
      {15, "Q4_K_M", tensor_type::kQ4_K, false},   {14, "Q4_K_S", tensor_type::kQ4_K, false},
      {2, "Q4_0", tensor_type::kQ4_0, false},      {25, "IQ4_NL", tensor_type::kIQ4_NL, false},
      {30, "IQ4_XS", tensor_type::kIQ4_XS, false}, {13, "Q3_K_L", tensor_type::kQ3_K, false},
      {12, "Q3_K_M", tensor_type::kQ3_K, false},   {27, "IQ3_M", TensorType{21}, false},
      {26, "IQ3_S", TensorType{21}, false},        {11, "Q3_K_S", tensor_type::kQ3_K, false},
      {22, "IQ3_XS", TensorType{21}, false},       {23, "IQ3_XXS", TensorType{18}, true},
      {10, "Q2_K", tensor_type::kQ2_K, false},     {21, "Q2_K_S", tensor_type::kQ2_K, true},
      {29, "IQ2_M", TensorType{22}, true},         {28, "IQ2_S", TensorType{17}, true},
      {20, "IQ2_XS", TensorType{17}, true},        {19, "IQ2_XXS", TensorType{16}, true},
      {37, "TQ2_0", TensorType{35}, false},        {31, "IQ1_M", TensorType{29}, true},
      {36, "TQ1_0", TensorType{34}, false},        {24, "IQ1_S", TensorType{19}, true},
  };
  return types;
}

std::vector<std::string> FileTypeNames() {
  std::vector<std::string> names;
  for (const FileType& type : FileTypes()) names.emplace_back(type.name);
  return names;
}

const FileType* FindFileType(std::string_view name) {
  const std::string lower = ToLower(name);
  for (const FileType& type : FileTypes()) {
    if (ToLower(type.name) == lower) return &type;
  }
  return nullptr;
}

const FileType* FindFileType(uint32_t id) {
  for (const FileType& type : FileTypes()) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

std::string TypeLabel(const GgufFile& file) {
  const auto id = file.metadata.Integer("general.file_type");
  if (id && *id >= 0 && *id <= UINT32_MAX) {
    const FileType* type = FindFileType(static_cast<uint32_t>(*id));
    if (type != nullptr) return type->name;
  }
  return NameOf(MostBytes(file));
}

bool IsUnquantised(const GgufFile& file) { return !InfoOf(MostBytes(file)).quantized; }

}  // namespace trimma
