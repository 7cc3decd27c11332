// Constants of the GGUF format and our limits on it, shared by the reader and the writer.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/types.h"

namespace trimma::format {

// Values are copied as they lie in the file.
static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr uint32_t kVersion = 3;

// How a value is marked in the file. Never renumber.
enum class Kind : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

inline constexpr const char* kAlignmentKey = "general.alignment";
inline constexpr uint64_t kDefaultAlignment = 32;
inline constexpr uint64_t kMinAlignment = 8;
inline constexpr uint64_t kMaxAlignment = 4096;

inline constexpr uint64_t kMaxEntries = 65'536;
inline constexpr uint64_t kMaxTensors = 262'144;
inline constexpr uint64_t kMaxKeyBytes = 65'535;
inline constexpr uint64_t kMaxNameBytes = 63;  // ggml keeps 64 with the final NUL
inline constexpr uint64_t kMaxDimensions = 4;
inline constexpr uint64_t kMaxElements = uint64_t{1} << 60;  // ggml counts in int64_t
inline constexpr uint64_t kMaxStringBytes = uint64_t{16} << 20;
// A string costs 8 bytes in the file but 32 in memory; the largest vocabularies have 262 144.
inline constexpr uint64_t kMaxStrings = uint64_t{4} << 20;
inline constexpr uint64_t kMaxHeaderBytes = uint64_t{256} << 20;

// The smallest records: key length, one byte, kind, one byte of value; and
// name length, one byte, dimension count, one dimension, type, offset.
inline constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;
inline constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

inline bool IsAlignment(uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= kMinAlignment && bytes <= kMaxAlignment;
}

// The next multiple of `alignment` (a power of two); nullopt on overflow.
inline std::optional<uint64_t> Padded(uint64_t bytes, uint64_t alignment) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(bytes, alignment - 1, &sum)) return std::nullopt;
  return sum & ~(alignment - 1);
}

// What is wrong with a name, e.g. "is empty"; "" if nothing. ggml compares names as C
// strings, so a NUL inside would make two names equal that are not.
std::string FaultOfName(std::string_view name, uint64_t max_bytes);

// The bytes of a tensor, or what is wrong with its shape, e.g. "has no elements".
struct TensorSize {
  uint64_t bytes = 0;
  std::string fault;
};
TensorSize SizeOf(TensorType type, const std::vector<uint64_t>& shape);

}  // namespace trimma::format
