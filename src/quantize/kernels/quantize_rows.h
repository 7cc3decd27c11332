// Rows of floats into ggml's block formats, weighed by importance: faster than ggml, and closer.
//
// Both functions take `rows` x `row_length` floats, row after row, and fill rows * RowBytes(type,
// row_length) bytes at `to`. row_length is a multiple of the type's block. `importance` holds
// row_length weights, the same for every row, or is nullptr for 1 everywhere. Rows are independent:
// cutting a tensor into calls of whole rows, from any threads, gives the same bytes.
//
// Any input is safe. A value that is not finite counts as 0. A weight that is negative or NaN
// counts as 0, one of infinity as the largest float; where a group's weights are all 0 its values
// still are kept, all alike. A block of values so small that no scale of the type is left is 0.
#pragma once

#include <cstdint>

#include "gguf/types.h"

namespace trimma {

// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL and IQ4_XS.
bool HasKernel(TensorType type);

// The least error that a joint search of scales, mins and codes finds: the sum of w_i (x_i - y_i)^2
// over the weights x_i and what the blocks give back for them, y_i. With q the importance,
//
//   w_i = q_i                      Q6_K
//   w_i = q_i sqrt(c s + x_i^2)    others; s: mean square of the block, for Q4_0 to Q5_1 of the row
//
// with c = 1 to 2.5 (MeasureOf), about as in ggml's quantize_row_*_impl. Over a tensor the error is
// below that of ggml_quantize_chunk with the same importance, both by ggml's weights and by q
// alone; a single block may err more. Without importance q is 1, which is not what ggml does then.
// Q8_0 is rounded to nearest, importance or not, and has the bytes of ggml's.
//
// The bytes don't depend on the vectors' width: every processor with fused multiply-add (AVX2,
// AVX-512, NEON) makes the same. Without, a few blocks differ.
//
// False if a scale was beyond a half's range, so that values were cut off; blocks are sound even
// then.
bool QuantizeRowsBest(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                      const float* importance, void* to);

// The bytes that ggml_quantize_chunk of the pinned engine makes of finite values, bit for bit. For
// proofs and for files that have to equal those of llama-quantize; one weight after another, so no
// faster than ggml. Values beyond the type's range give infinite scales, as ggml's do.
void QuantizeRowsExact(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                       const float* importance, void* to);

}  // namespace trimma
