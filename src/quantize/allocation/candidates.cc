#include "quantize/allocation/candidates.h"

#include "plan/assignment.h"

namespace trimma {

std::vector<TensorType> CandidateTypes(const TensorInfo& tensor) {
  using namespace tensor_type;
  static const std::vector<TensorType> kLong = {kQ2_K, kQ3_K, kIQ4_XS, kQ4_K, kQ5_K, kQ6_K, kQ8_0};
  static const std::vector<TensorType> kShort = {kQ4_0, kIQ4_NL, kQ4_1, kQ5_0, kQ5_1, kQ8_0};
  std::vector<TensorType> types;
  for (const TensorType type : tensor.row_length() % 256 == 0 ? kLong : kShort) {
    if (tensor.row_length() % InfoOf(type).block == 0 && BitsOf(type) < BitsOf(tensor.type))
      types.push_back(type);
  }
  return types;
}

std::optional<TensorType> ProbeType(const TensorInfo& tensor) {
  const TensorType type = tensor.row_length() % 256 == 0 ? tensor_type::kQ3_K : tensor_type::kQ4_0;
  if (tensor.row_length() % InfoOf(type).block != 0 || BitsOf(type) >= BitsOf(tensor.type))
    return std::nullopt;
  return type;
}

}  // namespace trimma
