#include "quantize/allocation/mixed_carrier.h"

#include <algorithm>

#include "engine/rows.h"
#include "quantize/parallel.h"
#include "quantize/plain_rows.h"

namespace trimma {
namespace {

constexpr uint64_t kPieceRows = 32;  // a thread's share

// work(first, count) for all rows, by all threads.
template <typename Work>
Status ForRows(uint64_t rows, int threads, const Work& work) {
  return ParallelFor((rows + kPieceRows - 1) / kPieceRows, threads, [&](uint64_t i) -> Status {
    const uint64_t first = i * kPieceRows;
    return work(first, std::min(kPieceRows, rows - first));
  });
}

}  // namespace

MixedCarrier::MixedCarrier(SourceRows source, DivergenceProbe& probe,
                           const MixedCarrierOptions& options)
    : source_(std::move(source)), probe_(probe), options_(options) {
  if (options.compensate && options.weighing.moments != nullptr)
    compensated_.emplace(*options.weighing.moments, options.threads);
}

Result<MixedCarrier> MixedCarrier::Open(const GgufFile& source, DivergenceProbe& probe,
                                        const MixedCarrierOptions& options) {
  TRY(SourceRows rows, SourceRows::Open(source));
  return MixedCarrier(std::move(rows), probe, options);
}

Result<std::vector<char>> MixedCarrier::Round(const TensorInfo& tensor, TensorType type,
                                              uint64_t matrix, const std::vector<float>& rows) {
  if (compensated_ && compensated_->Handles(tensor, type))
    return compensated_->Round(tensor, type, rows);
  const uint64_t n = tensor.row_length();
  const uint64_t row_bytes = *RowBytes(type, n);
  const float* importance = nullptr;
  if (!importance_.empty())
    importance = importance_.data() + (importance_.size() > n ? matrix * n : 0);
  std::vector<char> blocks(rows.size() / n * row_bytes);
  TRY_STATUS(ForRows(rows.size() / n, options_.threads, [&](uint64_t first, uint64_t count) {
    QuantizePlainRows(type, rows.data() + first * n, count, n, importance,
                      blocks.data() + first * row_bytes);
    return Status{};
  }));
  return blocks;
}

Status MixedCarrier::Put(const TensorInfo& tensor, TensorType type) {
  if (!probe_.Has(tensor.name)) return {};
  const TensorType carrier = probe_.TypeOf(tensor.name);
  const uint64_t n = tensor.row_length();
  const uint64_t carrier_bytes = *RowBytes(carrier, n);
  const uint64_t rows_per_matrix = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  // Whole slabs: the file's are compensated together, from the same rows on.
  constexpr uint64_t kSlab = CompensatedTensors::kSlabRows;
  const uint64_t step =
      kSlab * std::max<uint64_t>(1, options_.memory_bytes / 4 / (kSlab * n * sizeof(float) * 2));
  TRY(importance_, options_.weighing.Of(tensor.name));
  PreparePlainRows(type);
  PrepareRows(carrier);
  std::vector<char> bytes(tensor.rows() * carrier_bytes);
  for (uint64_t matrix = 0; matrix < tensor.rows() / rows_per_matrix; ++matrix) {
    for (uint64_t within = 0; within < rows_per_matrix; within += step) {
      const uint64_t row = matrix * rows_per_matrix + within;
      const uint64_t count = std::min(step, rows_per_matrix - within);
      std::vector<float> values(count * n);
      TRY_STATUS(ForRows(count, options_.threads, [&](uint64_t first, uint64_t some) -> Status {
        TRY(const std::vector<float> piece, source_.Read(tensor, row + first, some));
        std::copy(piece.begin(), piece.end(), values.begin() + static_cast<ptrdiff_t>(first * n));
        return {};
      }));
      std::vector<char> blocks;
      if (type != tensor.type) {
        TRY(blocks, Round(tensor, type, matrix, values));
      }
      TRY_STATUS(ForRows(count, options_.threads, [&](uint64_t first, uint64_t some) {
        float* floats = values.data() + first * n;
        if (type != tensor.type)
          DequantizeRows(type, blocks.data() + first * *RowBytes(type, n), some, n, floats);
        QuantizeRows(carrier, floats, some, n, nullptr,
                     bytes.data() + (row + first) * carrier_bytes);
        return Status{};
      }));
    }
  }
  probe_.Write(tensor.name, bytes);
  return {};
}

}  // namespace trimma
