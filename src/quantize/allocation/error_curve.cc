#include "quantize/allocation/error_curve.h"

#include <algorithm>

#include "engine/rows.h"
#include "quantize/parallel.h"
#include "quantize/plain_rows.h"
#include "quantize/rounding/held_out.h"
#include "quantize/rounding/round_compensated.h"

namespace trimma {

Result<double> ErrorOf(const ErrorTerms& terms, const ErrorWeights& by, int threads) {
  if (by.moment != nullptr)
    return WeightedError({terms.weights, terms.rows, terms.n}, terms.values, *by.moment, threads);
  double sum = 0;
  for (uint64_t row = 0; row < terms.rows; ++row) {
    for (uint64_t j = 0; j < terms.n; ++j) {
      const double r = terms.weights[row * terms.n + j] - terms.values[row * terms.n + j];
      sum += r * r * (by.importance != nullptr ? static_cast<double>(by.importance[j]) : 1.0);
    }
  }
  return sum;
}

std::vector<uint64_t> SampleRows(uint64_t rows) {
  const uint64_t count = std::min(rows, kSampledRows);
  std::vector<uint64_t> sample(count);
  for (uint64_t i = 0; i < count; ++i) sample[i] = i * rows / count;
  return sample;
}

Result<std::vector<double>> ErrorCurve(const ErrorTerms& rows, const std::vector<TensorType>& types,
                                       const ErrorWeights& by, int threads) {
  std::vector<float> diagonal;
  if (by.moment != nullptr) diagonal = by.moment->Diagonal();
  const float* importance = by.moment != nullptr ? diagonal.data() : by.importance;
  constexpr uint64_t kSlab = 64;
  for (const TensorType type : types) PreparePlainRows(type);
  std::vector<double> errors(types.size());
  const int share = std::max(1, threads / std::max(1, static_cast<int>(types.size())));
  const auto error_of = [&](TensorType type) -> Result<double> {
    std::vector<float> values(rows.rows * rows.n);
    TRY_STATUS(ParallelFor((rows.rows + kSlab - 1) / kSlab, share, [&](uint64_t i) -> Status {
      const uint64_t first = i * kSlab;
      const uint64_t count = std::min(kSlab, rows.rows - first);
      std::vector<char> blocks(count * *RowBytes(type, rows.n));
      QuantizePlainRows(type, rows.weights + first * rows.n, count, rows.n, importance,
                        blocks.data());
      DequantizeRows(type, blocks.data(), count, rows.n, values.data() + first * rows.n);
      return {};
    }));
    ErrorTerms terms = rows;
    terms.values = values.data();
    return ErrorOf(terms, by, share);
  };
  TRY_STATUS(ParallelFor(types.size(), threads, [&](uint64_t t) -> Status {
    TRY(errors[t], error_of(types[t]));
    return {};
  }));
  return errors;
}

Result<double> CompensatedShare(const WeightMatrix& weights, TensorType type,
                                const Compensation& compensation, const SecondMoment& held_out,
                                int threads) {
  if (compensation.is_zero()) return 1.0;
  RoundingOptions options;
  options.threads = threads;
  options.measure = false;
  options.plain = QuantizePlainRows;
  PreparePlainRows(type);
  std::vector<char> compensated(weights.rows * *RowBytes(type, weights.n));
  std::vector<char> plain(compensated.size());
  TRY_STATUS(RoundCompensated(weights, type, compensation, options, compensated.data()));
  QuantizePlainRows(type, weights.data, weights.rows, weights.n, compensation.importance().data(),
                    plain.data());
  TRY(const RoundingChoice choice,
      ChooseOnHeldOut(weights, {type, plain.data(), compensated.data()}, held_out, threads));
  return choice.compensated ? choice.compensated_error / choice.plain_error : 1.0;
}

}  // namespace trimma
