#include "quantize/plain_rows.h"

#include "engine/rows.h"
#include "quantize/kernels/quantize_rows.h"

namespace trimma {

void PreparePlainRows(TensorType type) { PrepareRows(type); }

void QuantizePlainRows(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                       const float* importance, void* to) {
  // Where a value is cut off at the range of a half, the engine's blocks hold an infinity, which
  // RowsAreValid finds: a type of wider range is needed.
  if (HasKernel(type) && QuantizeRowsBest(type, from, rows, row_length, importance, to)) return;
  QuantizeRows(type, from, rows, row_length, importance, to);
}

void QuantizeExactRows(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                       const float* importance, void* to) {
  if (HasKernel(type)) return QuantizeRowsExact(type, from, rows, row_length, importance, to);
  QuantizeRows(type, from, rows, row_length, importance, to);
}

}  // namespace trimma
