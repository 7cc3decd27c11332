#include "gguf/types.h"

#include <algorithm>

#include "base/result.h"
#include "base/text.h"

namespace trimma {

const std::vector<TypeInfo>& TensorTypes() {
  static const std::vector<TypeInfo> types = {
      {TensorType{0}, "F32", 1, 4, false},        {TensorType{1}, "F16", 1, 2, false},
      {TensorType{2}, "Q4_0", 32, 18, true},      {TensorType{3}, "Q4_1", 32, 20, true},
      {TensorType{6}, "Q5_0", 32, 22, true},      {TensorType{7}, "Q5_1", 32, 24, true},
      {TensorType{8}, "Q8_0", 32, 34, true},      {TensorType{9}, "Q8_1", 32, 36, true},
      {TensorType{10}, "Q2_K", 256, 84, true},    {TensorType{11}, "Q3_K", 256, 110, true},
      {TensorType{12}, "Q4_K", 256, 144, true},   {TensorType{13}, "Q5_K", 256, 176, true},
      {TensorType{14}, "Q6_K", 256, 210, true},   {TensorType{15}, "Q8_K", 256, 292, true},
      {TensorType{16}, "IQ2_XXS", 256, 66, true}, {TensorType{17}, "IQ2_XS", 256, 74, true},
      {TensorType{18}, "IQ3_XXS", 256, 98, true}, {TensorType{19}, "IQ1_S", 256, 50, true},
      {TensorType{20}, "IQ4_NL", 32, 18, true},   {TensorType{21}, "IQ3_S", 256, 110, true},
      {TensorType{22}, "IQ2_S", 256, 82, true},   {TensorType{23}, "IQ4_XS", 256, 136, true},
      {TensorType{24}, "I8", 1, 1, false},        {TensorType{25}, "I16", 1, 2, false},
      {TensorType{26}, "I32", 1, 4, false},       {TensorType{27}, "I64", 1, 8, false},
      {TensorType{28}, "F64", 1, 8, false},       {TensorType{29}, "IQ1_M", 256, 56, true},
      {TensorType{30}, "BF16", 1, 2, false},      {TensorType{34}, "TQ1_0", 256, 54, true},
      {TensorType{35}, "TQ2_0", 256, 66, true},   {TensorType{39}, "MXFP4", 32, 17, true},
      {TensorType{40}, "NVFP4", 64, 36, true},    {TensorType{41}, "Q1_0", 128, 18, true},
      {TensorType{42}, "Q2_0", 64, 18, true},
  };
  return types;
}

const TypeInfo* FindType(uint32_t id) {
  const auto& types = TensorTypes();
  const auto found =
      std::lower_bound(types.begin(), types.end(), TensorType{id},
                       [](const TypeInfo& info, TensorType type) { return info.type < type; });
  return found != types.end() && found->type == TensorType{id} ? &*found : nullptr;
}

std::optional<TensorType> TensorTypeByName(std::string_view name) {
  const std::string lower = ToLower(name);
  for (const TypeInfo& info : TensorTypes()) {
    if (ToLower(info.name) == lower) return info.type;
  }
  return std::nullopt;
}

const TypeInfo& InfoOf(TensorType type) {
  const TypeInfo* info = FindType(static_cast<uint32_t>(type));
  CHECK(info != nullptr);
  return *info;
}

std::optional<uint64_t> RowBytes(TensorType type, uint64_t elements) {
  const TypeInfo& info = InfoOf(type);
  uint64_t bytes = 0;
  if (elements % info.block != 0) return std::nullopt;
  if (__builtin_mul_overflow(elements / info.block, uint64_t{info.block_bytes}, &bytes))
    return std::nullopt;
  return bytes;
}

}  // namespace trimma
