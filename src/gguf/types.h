// Tensor types of the pinned ggml: their ids, names and block layouts.
// types_test.cc compares every row with ggml's own table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimma {

// The id stored in a GGUF file (enum ggml_type). Never renumber.
enum class TensorType : uint32_t {};

struct TypeInfo {
  TensorType type;
  const char* name;      // as llama.cpp prints it in upper case: "Q4_K", "F16", "IQ4_XS"
  uint32_t block;        // elements per block
  uint32_t block_bytes;  // bytes per block
  bool quantized;        // weights stored in blocks with scales
};

// All types that a file may hold, in order of id; gaps (removed types) are absent.
const std::vector<TypeInfo>& TensorTypes();

// nullptr for an id that the pinned ggml doesn't know.
const TypeInfo* FindType(uint32_t id);

// By name, case-insensitive ("q4_k"); nullopt if unknown.
std::optional<TensorType> TensorTypeByName(std::string_view name);

const TypeInfo& InfoOf(TensorType type);  // CHECKs that the type is known
inline const char* NameOf(TensorType type) { return InfoOf(type).name; }

// Bytes of a row of `elements`; nullopt if it is no multiple of the block or overflows.
std::optional<uint64_t> RowBytes(TensorType type, uint64_t elements);

namespace tensor_type {
inline constexpr TensorType kF32{0};
inline constexpr TensorType kF16{1};
inline constexpr TensorType kQ4_0{2};
inline constexpr TensorType kQ4_1{3};
inline constexpr TensorType kQ5_0{6};
inline constexpr TensorType kQ5_1{7};
inline constexpr TensorType kQ8_0{8};
inline constexpr TensorType kQ2_K{10};
inline constexpr TensorType kQ3_K{11};
inline constexpr TensorType kQ4_K{12};
inline constexpr TensorType kQ5_K{13};
inline constexpr TensorType kQ6_K{14};
inline constexpr TensorType kIQ4_NL{20};
inline constexpr TensorType kIQ4_XS{23};
inline constexpr TensorType kBF16{30};
}  // namespace tensor_type

}  // namespace trimma
