#include "gguf/format.h"

#include <fmt/format.h>

namespace trimma::format {

std::string FaultOfName(std::string_view name, uint64_t max_bytes) {
  if (name.empty()) return "is empty";
  if (name.size() > max_bytes)
    return fmt::format("has {} bytes, at most {} are allowed", name.size(), max_bytes);
  if (name.find('\0') != std::string_view::npos) return "holds a NUL byte";
  return "";
}

TensorSize SizeOf(TensorType type, const std::vector<uint64_t>& shape) {
  if (shape.empty() || shape.size() > kMaxDimensions) {
    return {0, fmt::format("has {} dimensions, 1 to {} are allowed", shape.size(), kMaxDimensions)};
  }
  uint64_t elements = 1;
  for (const uint64_t dimension : shape) {
    if (dimension == 0) return {0, "has a dimension of 0"};
    if (__builtin_mul_overflow(elements, dimension, &elements) || elements > kMaxElements) {
      return {0, "has more elements than can be counted"};
    }
  }
  const TypeInfo& info = InfoOf(type);
  const std::optional<uint64_t> row = RowBytes(type, shape[0]);
  if (shape[0] % info.block != 0) {
    return {0, fmt::format("has rows of {} elements, but {} is stored in blocks of {}", shape[0],
                           info.name, info.block)};
  }
  TensorSize size;
  if (!row || __builtin_mul_overflow(*row, elements / shape[0], &size.bytes)) {
    return {0, "has more bytes than can be counted"};
  }
  return size;
}

}  // namespace trimma::format
