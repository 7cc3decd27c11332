// Plain rounding of rows: each block by itself, weighed by importance.
#pragma once

#include <cstdint>

#include "gguf/types.h"

namespace trimma {

// Once per type, before the threads start.
void PreparePlainRows(TensorType type);

// As kernels/quantize_rows.h where it has the type, else as the engine does. `importance`:
// [row_length], or nullptr. Thread-safe after PreparePlainRows.
void QuantizePlainRows(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                       const float* importance, void* to);

// The bytes of llama-quantize.
void QuantizeExactRows(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                       const float* importance, void* to);

}  // namespace trimma
