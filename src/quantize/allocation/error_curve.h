// How large a tensor's error is under each type: tr(R H R^T), as its input weighs it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "gguf/reader.h"
#include "quantize/rounding/compensation.h"
#include "quantize/rounding/second_moment.h"
#include "quantize/rounding/weighted_error.h"

namespace trimma {

// What weighs the errors of one tensor.
struct ErrorWeights {
  const SecondMoment* moment = nullptr;  // of the matrix's input; nullptr: none was seen,
  const float* importance = nullptr;     // then [n] sums of its squares, or nullptr: all alike
};

// Sum over the rows of the weighted squares of `values` - `weights`, both [rows, n].
struct ErrorTerms {
  const float* weights = nullptr;
  const float* values = nullptr;
  uint64_t rows = 0;
  uint64_t n = 0;
};
Result<double> ErrorOf(const ErrorTerms& terms, const ErrorWeights& by, int threads);

// Rows that stand for all: evenly spread, at most kSampledRows of them.
inline constexpr uint64_t kSampledRows = 1024;
std::vector<uint64_t> SampleRows(uint64_t rows);

// The error of plain rounding to each type over the rows given, [rows, n] floats.
Result<std::vector<double>> ErrorCurve(const ErrorTerms& rows, const std::vector<TensorType>& types,
                                       const ErrorWeights& by, int threads);

// What compensation leaves of plain rounding's error on inputs that it has not seen: above 0, at
// most 1, for plain rounding is kept where it is better. Some types gain more by it than others.
// `type` can be rounded with compensation.
Result<double> CompensatedShare(const WeightMatrix& weights, TensorType type,
                                const Compensation& compensation, const SecondMoment& held_out,
                                int threads);

}  // namespace trimma
