#include "quantize/rounding/round_compensated.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/rows.h"
#include "quantize/parallel.h"

namespace trimma {
namespace {

// What all batches of a matrix share.
struct Task {
  const WeightMatrix& weights;
  const BlockFormat& format;
  const Compensation& compensation;
  const RoundingOptions& options;
  const PlainQuantizer& plain;
  uint8_t* to;
  uint64_t row_bytes;
};

// Plain rounding of whole rows. A zero moment has no opinion on what matters.
void RoundRowsPlainly(const Task& task, uint64_t first, uint64_t rows, uint8_t* to) {
  const float* importance =
      task.compensation.is_zero() ? nullptr : task.compensation.importance().data();
  task.plain(task.format.type, task.weights.data + first * task.weights.n, rows, task.weights.n,
             importance, to);
}

void Write(const Task& task, RoundingBatch& batch, uint8_t* to) {
  const uint64_t first = batch.first_column() / task.format.block;
  for (uint64_t row = 0; row < batch.rows; ++row) {
    uint8_t* at = to + row * task.row_bytes + first * task.format.bytes;
    for (uint64_t j = 0; j < batch.size(); j += task.format.block, at += task.format.bytes)
      PackBlock(task.format, batch.BlockAt(row, j), at);
  }
}

// Returns how many rows had to be rounded plainly.
uint64_t RoundRows(const Task& task, uint64_t first, uint64_t rows) {
  uint8_t* to = task.to + first * task.row_bytes;
  std::vector<uint8_t> unroundable(rows, 0);
  RoundingBatch batch;
  batch.format = &task.format;
  batch.plain = &task.plain;
  batch.compensation = &task.compensation;
  batch.rows = rows;
  batch.weights_stride = task.weights.n;
  for (uint64_t i = 0; i < task.compensation.moment().blocks(); ++i) {
    batch.matrix = i;
    batch.weights = task.weights.data + first * task.weights.n + batch.first_column();
    batch.Prepare();
    if (task.options.feedback) {
      FeedErrors(batch);
    } else {
      RoundPlainly(batch);
    }
    Descend(batch, {task.options.sweeps, task.options.refit_groups, task.options.refit_blocks});
    Write(task, batch, to);
    for (uint64_t row = 0; row < rows; ++row) unroundable[row] |= batch.unroundable[row];
  }
  for (uint64_t row = 0; row < rows; ++row) {
    if (unroundable[row] != 0) RoundRowsPlainly(task, first + row, 1, to + row * task.row_bytes);
  }
  return static_cast<uint64_t>(std::count(unroundable.begin(), unroundable.end(), 1));
}

// work(first row, rows) for all batches of rows.
template <typename Work>
Status ForBatches(const Task& task, const Work& work) {
  const uint64_t rows = task.weights.rows;
  return ParallelFor((rows + kLanes - 1) / kLanes, task.options.threads, [&](uint64_t i) -> Status {
    work(i * kLanes, std::min(kLanes, rows - i * kLanes));
    return {};
  });
}

Status RoundAllPlainly(const Task& task, uint8_t* to) {
  return ForBatches(task, [&](uint64_t first, uint64_t rows) {
    RoundRowsPlainly(task, first, rows, to + first * task.row_bytes);
  });
}

Status Measure(const Task& task, RoundingResult& result) {
  const SecondMoment& moment = task.compensation.moment();
  const TensorType type = task.format.type;
  std::vector<uint8_t> plain(task.weights.rows * task.row_bytes);
  TRY_STATUS(RoundAllPlainly(task, plain.data()));
  TRY(result.error,
      WeightedErrorOfBlocks(task.weights, type, task.to, moment, task.options.threads));
  TRY(result.plain_error,
      WeightedErrorOfBlocks(task.weights, type, plain.data(), moment, task.options.threads));
  return {};
}

std::string NoteOn(const Compensation& compensation, const RoundingResult& result) {
  std::vector<std::string> notes;
  if (compensation.damping_was_raised())
    notes.push_back(fmt::format("damping had to be raised to {:.0f} %", 100 * result.damping.mean));
  if (result.plain_rows > 0) {
    notes.push_back(fmt::format("{} rows are beyond the type's range and were rounded plainly",
                                result.plain_rows));
  }
  return fmt::format("{}", fmt::join(notes, "; "));
}

}  // namespace

bool CanRoundCompensated(TensorType type) { return FindBlockFormat(type) != nullptr; }

Result<RoundingResult> RoundCompensated(const WeightMatrix& weights, TensorType type,
                                        const Compensation& compensation,
                                        const RoundingOptions& options, void* to) {
  const BlockFormat* format = FindBlockFormat(type);
  CHECK(format != nullptr);
  CHECK(weights.n == compensation.moment().n());
  CHECK(compensation.moment().block() % format->block == 0);
  const PlainQuantizer plain = options.plain ? options.plain : PlainQuantizer(QuantizeRows);
  const Task task = {weights,
                     *format,
                     compensation,
                     options,
                     plain,
                     static_cast<uint8_t*>(to),
                     weights.n / format->block * format->bytes};
  RoundingResult result;
  result.damping = compensation.damping();
  if (compensation.is_zero()) {
    TRY_STATUS(RoundAllPlainly(task, task.to));
    result.note = "no input was seen: rounded plainly";
    return result;
  }
  std::vector<uint64_t> plain_rows((weights.rows + kLanes - 1) / kLanes);
  TRY_STATUS(ForBatches(task, [&](uint64_t first, uint64_t rows) {
    plain_rows[first / kLanes] = RoundRows(task, first, rows);
  }));
  for (const uint64_t rows : plain_rows) result.plain_rows += rows;
  if (options.measure) TRY_STATUS(Measure(task, result));
  result.note = NoteOn(compensation, result);
  return result;
}

}  // namespace trimma
