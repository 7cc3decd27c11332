#include "quantize/compensated_tensor.h"

#include <algorithm>

#include "quantize/parallel.h"
#include "quantize/plain_rows.h"
#include "quantize/rounding/held_out.h"
#include "quantize/rounding/round_compensated.h"

namespace trimma {
namespace {

constexpr uint64_t kPlainRows = 32;  // a thread's share

Status RoundPlain(const WeightMatrix& weights, TensorType to, const std::vector<float>& importance,
                  int threads, std::vector<char>& blocks) {
  const uint64_t row_bytes = *RowBytes(to, weights.n);
  return ParallelFor((weights.rows + kPlainRows - 1) / kPlainRows, threads,
                     [&](uint64_t i) -> Status {
                       const uint64_t first = i * kPlainRows;
                       QuantizePlainRows(to, weights.data + first * weights.n,
                                         std::min(kPlainRows, weights.rows - first), weights.n,
                                         importance.data(), blocks.data() + first * row_bytes);
                       return {};
                     });
}

}  // namespace

bool CompensatedTensors::Handles(const TensorInfo& tensor, TensorType to) const {
  const auto input = moments_.InputOf(tensor.name);
  if (!input || tensor.shape.size() != 2 || !CanRoundCompensated(to)) return false;
  return moments_.index().inputs[*input].n == tensor.row_length() &&
         moments_.index().inputs[*input].block % InfoOf(to).block == 0;
}

Status CompensatedTensors::Prepare(size_t input) {
  if (prepared_ && prepared_->input == input) return {};
  prepared_.reset();
  TRY(SecondMoment moment, moments_.Moment(input, threads_));
  TRY(SecondMoment held_out, moments_.HeldOut(input, threads_));
  prepared_ = std::make_unique<Prepared>(
      Prepared{input, std::move(moment), std::move(held_out), std::nullopt});
  TRY(Compensation compensation, Compensation::Prepare(prepared_->moment, threads_));
  prepared_->compensation = std::move(compensation);
  return {};
}

Result<std::vector<char>> CompensatedTensors::Round(const TensorInfo& tensor, TensorType to,
                                                    const std::vector<float>& rows) {
  TRY_STATUS(Prepare(*moments_.InputOf(tensor.name)));
  const uint64_t n = tensor.row_length();
  const WeightMatrix weights = {rows.data(), rows.size() / n, n};
  const Compensation& compensation = *prepared_->compensation;
  PreparePlainRows(to);
  std::vector<char> plain(weights.rows * *RowBytes(to, n));
  TRY_STATUS(RoundPlain(weights, to, compensation.importance(), threads_, plain));
  if (compensation.is_zero()) return plain;
  std::vector<char> compensated(plain.size());
  RoundingOptions options;
  options.threads = threads_;
  options.measure = false;
  options.plain = QuantizePlainRows;
  TRY_STATUS(RoundCompensated(weights, to, compensation, options, compensated.data()));
  const uint64_t row_bytes = *RowBytes(to, n);
  const uint64_t slabs = (weights.rows + kSlabRows - 1) / kSlabRows;
  const int share = std::max(1, threads_ / static_cast<int>(std::min<uint64_t>(slabs, 1024)));
  TRY_STATUS(ParallelFor(slabs, threads_, [&](uint64_t i) -> Status {
    const uint64_t first = i * kSlabRows;
    const WeightMatrix slab = {weights.data + first * n, std::min(kSlabRows, weights.rows - first),
                               n};
    char* chosen = plain.data() + first * row_bytes;
    const char* other = compensated.data() + first * row_bytes;
    TRY(const RoundingChoice choice,
        ChooseOnHeldOut(slab, {to, chosen, other}, prepared_->held_out, share));
    if (choice.compensated) std::copy_n(other, slab.rows * row_bytes, chosen);
    return {};
  }));
  return plain;
}

}  // namespace trimma
