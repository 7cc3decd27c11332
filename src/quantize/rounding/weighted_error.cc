#include "quantize/rounding/weighted_error.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/rows.h"
#include "quantize/parallel.h"
#include "quantize/rounding/outer_products.h"

namespace trimma {
namespace {

constexpr uint64_t kRows = 64;      // that read H together
constexpr uint64_t kColumns = 256;  // of H at a time

// Of one matrix on the diagonal: `residuals` [size, kRows] transposed, H [size, size].
// By symmetry sum over column blocks J of <R_J, 2 * sum over I < J of R_I H_IJ + R_J H_JJ>.
double MatrixError(const float* residuals, const float* h, uint64_t size, size_t stride) {
  std::vector<float> products(kColumns * kRows);
  double error = 0;
  for (uint64_t j = 0; j < size; j += kColumns) {
    std::fill(products.begin(), products.end(), 0.0F);
    OuterProducts product;
    product.a = h + j;
    product.a_stride = stride;
    product.b = residuals;
    product.b_stride = product.c_stride = kRows;
    product.c = products.data();
    product.m = std::min(kColumns, size - j);
    product.n = kRows;
    product.k = j;
    product.factor = 2;
    AddOuterProducts(product);
    product.a += j * stride;
    product.b += j * kRows;
    product.k = product.m;
    product.factor = 1;
    AddOuterProducts(product);
    for (uint64_t i = 0; i < product.m; ++i) {
      float sum = 0;
      for (uint64_t row = 0; row < kRows; ++row)
        sum += products[i * kRows + row] * residuals[(j + i) * kRows + row];
      error += sum;
    }
  }
  return error;
}

// `values`: [rows, n] of these rows.
double RowsError(const WeightMatrix& rows, const float* values, const SecondMoment& moment) {
  std::vector<float> residuals(rows.n * kRows);
  for (uint64_t row = 0; row < rows.rows; ++row) {
    for (uint64_t j = 0; j < rows.n; ++j)
      residuals[j * kRows + row] = rows.data[row * rows.n + j] - values[row * rows.n + j];
  }
  double error = 0;
  for (uint64_t i = 0; i < moment.blocks(); ++i) {
    error += MatrixError(residuals.data() + i * moment.block() * kRows, moment.Matrix(i),
                         moment.block(), moment.stride());
  }
  return error;
}

// error_of(first row, rows) for all groups of rows, added up in order.
template <typename ErrorOf>
Result<double> SumOverRows(const WeightMatrix& weights, int threads, const ErrorOf& error_of) {
  std::vector<double> errors((weights.rows + kRows - 1) / kRows);
  TRY_STATUS(ParallelFor(errors.size(), threads, [&](uint64_t i) -> Status {
    const uint64_t first = i * kRows;
    errors[i] = error_of(first, std::min(kRows, weights.rows - first));
    return {};
  }));
  return std::accumulate(errors.begin(), errors.end(), 0.0);
}

}  // namespace

Result<double> WeightedError(const WeightMatrix& weights, const float* values,
                             const SecondMoment& moment, int threads) {
  CHECK(weights.n == moment.n());
  return SumOverRows(weights, threads, [&](uint64_t first, uint64_t rows) {
    const uint64_t at = first * weights.n;
    return RowsError({weights.data + at, rows, weights.n}, values + at, moment);
  });
}

Result<double> WeightedErrorOfBlocks(const WeightMatrix& weights, TensorType type,
                                     const void* blocks, const SecondMoment& moment, int threads) {
  CHECK(weights.n == moment.n());
  const uint64_t row_bytes = RowBytes(type, weights.n).value();
  return SumOverRows(weights, threads, [&](uint64_t first, uint64_t rows) {
    std::vector<float> values(rows * weights.n);
    DequantizeRows(type, static_cast<const char*>(blocks) + first * row_bytes, rows, weights.n,
                   values.data());
    return RowsError({weights.data + first * weights.n, rows, weights.n}, values.data(), moment);
  });
}

}  // namespace trimma
