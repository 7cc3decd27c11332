#include "quantize/rounding/rounding_batch.h"

#include <cmath>

namespace trimma {

void RoundingBatch::Prepare() {
  blocks.assign(kLanes * BlocksOfRow(), Block{});
  values.assign(kLanes * size(), 0);
  products.assign(kLanes * size(), 0);
  residuals.assign(kLanes * size(), 0);
  unroundable.assign(kLanes, 0);
}

void RoundingBatch::QuantizePlainly(const float* from, uint64_t column) {
  std::vector<uint8_t> bytes(rows * format->bytes);
  const float* importance = compensation->importance().data() + first_column() + column;
  (*plain)(format->type, from, rows, format->block, importance, bytes.data());
  for (uint64_t row = 0; row < rows; ++row) {
    Block& block = BlockAt(row, column);
    UnpackBlock(*format, bytes.data() + row * format->bytes, block);
    if (std::isfinite(block.scale) && std::isfinite(block.min_scale)) continue;
    unroundable[row] = 1;
    block.scale = block.min_scale = 0;
  }
}

RoundingBatch::Scales RoundingBatch::ScalesAt(uint64_t row, uint64_t column) {
  const Block& block = BlockAt(row, column);
  const auto group = static_cast<uint32_t>(column % format->block / format->group);
  const float scale = block.GroupScale(group);
  return {scale, scale == 0 ? 0 : 1 / scale, block.GroupMin(group)};
}

void RoundingBatch::Evaluate(uint64_t first, uint64_t count) {
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t j = first; j < first + count; ++j) {
      const float value =
          ValueOf(*format, BlockAt(row, j), static_cast<uint32_t>(j % format->block));
      values[row * size() + j] = value;
      residuals[j * kLanes + row] = Weights(row)[j] - value;
    }
  }
}

void RoundPlainly(RoundingBatch& batch) {
  std::vector<float> from(batch.rows * batch.format->block);
  for (uint64_t column = 0; column < batch.size(); column += batch.format->block) {
    for (uint64_t row = 0; row < batch.rows; ++row) {
      std::copy_n(batch.Weights(row) + column, batch.format->block,
                  from.data() + row * batch.format->block);
    }
    batch.QuantizePlainly(from.data(), column);
  }
  batch.Evaluate(0, batch.size());
}

}  // namespace trimma
