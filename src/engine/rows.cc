#include "engine/rows.h"

#include <ggml.h>

#include <cstring>

#include "base/result.h"
#include "engine/ggml_types.h"

namespace trimma {

void PrepareRows(TensorType type) { ggml_quantize_init(ToGgml(type)); }

bool CanDequantize(TensorType type) {
  return type == tensor_type::kF32 || ggml_get_type_traits(ToGgml(type))->to_float != nullptr;
}

bool CanQuantize(TensorType type) {
  if (type == tensor_type::kF32 || type == tensor_type::kF16 || type == tensor_type::kBF16)
    return true;
  // Q8_1 and Q8_K are formats of activations: traits exist, ggml_quantize_chunk refuses them.
  const ggml_type ggml = ToGgml(type);
  return ggml_is_quantized(ggml) && ggml != GGML_TYPE_Q8_1 && ggml != GGML_TYPE_Q8_K;
}

void DequantizeRows(TensorType type, const void* from, uint64_t rows, uint64_t row_length,
                    float* to) {
  const auto n = static_cast<int64_t>(rows * row_length);
  if (type == tensor_type::kF32) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
    return;
  }
  const auto to_float = ggml_get_type_traits(ToGgml(type))->to_float;
  CHECK(to_float != nullptr);
  to_float(from, to, n);
}

bool RowsAreValid(TensorType type, const void* blocks, uint64_t bytes) {
  return ggml_validate_row_data(ToGgml(type), blocks, bytes);
}

void QuantizeRows(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                  const float* importance, void* to) {
  CHECK(CanQuantize(type));
  const auto n = static_cast<int64_t>(row_length);
  const size_t written =
      ggml_quantize_chunk(ToGgml(type), from, to, 0, static_cast<int64_t>(rows), n, importance);
  CHECK(written == ggml_row_size(ToGgml(type), n) * rows);
}

}  // namespace trimma
