#include "quantize/kernels/quantize_rows.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/result.h"
#include "quantize/kernels/best.h"

namespace trimma {
namespace {

using namespace tensor_type;

// Of the mean square of finite values.
float RowRoot(const float* row, uint64_t n) {
  double sums[4] = {};  // four, to be added side by side; n is a multiple of 32
  for (uint64_t i = 0; i < n; ++i) {
    const double x = std::isfinite(row[i]) ? row[i] : 0;
    sums[i % 4] += x * x;
  }
  const double sum = sums[0] + sums[1] + (sums[2] + sums[3]);
  return static_cast<float>(std::sqrt(sum / static_cast<double>(n)));
}

}  // namespace

Measure MeasureOf(TensorType type) {
  // ggml's shares, but that Q4_0, Q5_0 and Q3_K have 1, 1 and 2 there. These leave the least to
  // choose: the optimum by ggml's weights could err more than ggml by the importance alone.
  if (type == kQ4_0 || type == kQ5_0) return {MeanOf::kRow, 1.5F};
  if (type == kQ3_K) return {MeanOf::kBlock, 2.5F};
  if (type == kQ4_1 || type == kQ5_1) return {MeanOf::kRow, 1};
  if (type == kQ2_K) return {MeanOf::kBlock, 1};
  if (type == kQ6_K) return {MeanOf::kNothing, 0};
  return {MeanOf::kBlock, 2};
}

bool HasKernel(TensorType type) { return FindBlockFormat(type) != nullptr; }

bool QuantizeRowsBest(TensorType type, const float* from, uint64_t rows, uint64_t row_length,
                      const float* importance, void* to) {
  const BlockFormat* format = FindBlockFormat(type);
  CHECK(format != nullptr && row_length % format->block == 0);
  const BestJob job{format, MeasureOf(type), static_cast<uint8_t*>(to)};
  const uint64_t blocks_per_row = row_length / format->block;
  const uint64_t blocks = rows * blocks_per_row;
  if (type == kQ8_0) return BestQ8_0(from, blocks, job.to);
  std::vector<float> roots;
  if (job.measure.mean == MeanOf::kRow) {
    for (uint64_t r = 0; r < rows; ++r) roots.push_back(RowRoot(from + r * row_length, row_length));
  }
  BatchSource source{from, importance, blocks_per_row, roots.data(), 0, 0};
  const uint64_t batch = kGroupLanes / format->groups();
  bool fits = true;
  for (; source.first < blocks; source.first += batch) {
    source.count = std::min(batch, blocks - source.first);
    fits &= format->has_mins() ? BestAffineBatch(job, source) : BestSymmetricBatch(job, source);
  }
  return fits;
}

}  // namespace trimma
