// Rows of a tensor between floats and ggml's block formats. Thread-safe after Prepare.
#pragma once

#include <cstdint>

#include "gguf/types.h"

namespace trimma {

// Builds ggml's tables for the type; call once before the threads start.
void PrepareRows(TensorType type);

// False for types the engine can't turn into floats (integers).
bool CanDequantize(TensorType type);

// False for types ggml_quantize_chunk doesn't make. F32, F16 and BF16 count as made.
bool CanQuantize(TensorType type);

// `rows` x `row_length` floats from blocks of `type`.
void DequantizeRows(TensorType type, const void* from, uint64_t rows, uint64_t row_length,
                    float* to);

// False where a block holds a scale that is not finite: a value was beyond the type's range.
bool RowsAreValid(TensorType type, const void* blocks, uint64_t bytes);

// Blocks of `type` from floats. `importance`: [row_length] weights of the squared error, or
// nullptr.
void QuantizeRows(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                  const float* importance, void* to);

}  // namespace trimma
