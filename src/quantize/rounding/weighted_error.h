// tr(R H R^T): what a change of the weights does to a matrix's output, summed over tokens.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "gguf/types.h"
#include "quantize/rounding/second_moment.h"

namespace trimma {

// Floats [rows, n], row after row.
struct WeightMatrix {
  const float* data = nullptr;
  uint64_t rows = 0;
  uint64_t n = 0;
};

// R = weights - values, `values` also [rows, n]. Deterministic for any number of threads.
// Time: rows * n * block / 2 multiplications. Errors: an interrupt.
Result<double> WeightedError(const WeightMatrix& weights, const float* values,
                             const SecondMoment& moment, int threads);

// The same for values in blocks of any type that engine/rows.h dequantises.
Result<double> WeightedErrorOfBlocks(const WeightMatrix& weights, TensorType type,
                                     const void* blocks, const SecondMoment& moment, int threads);

}  // namespace trimma
