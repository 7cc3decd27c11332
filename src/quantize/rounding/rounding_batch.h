// Some rows of a matrix while they are rounded against one matrix on the moment's diagonal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "gguf/types.h"
#include "quantize/blocks/block_format.h"
#include "quantize/rounding/compensation.h"
#include "quantize/rounding/feedback_kernel.h"

namespace trimma {

// Rows of floats into blocks, as engine/rows.h QuantizeRows: (type, from [rows, row_length], rows,
// row_length, importance [row_length], to). Called from several threads at once.
using PlainQuantizer =
    std::function<void(TensorType, const float*, uint64_t, uint64_t, const float*, void*)>;

struct RoundingBatch {
  const BlockFormat* format = nullptr;
  const PlainQuantizer* plain = nullptr;
  const Compensation* compensation = nullptr;
  uint64_t matrix = 0;             // on the moment's diagonal
  uint64_t rows = 0;               // at most kLanes
  const float* weights = nullptr;  // [rows, size], at the matrix's first column
  size_t weights_stride = 0;

  // Results and work, by Prepare.
  std::vector<Block> blocks;         // [kLanes, size / format->block]
  std::vector<float> values;         // [kLanes, size] of the blocks
  std::vector<float> products;       // [kLanes, size] see feedback.cc and descent.cc
  std::vector<float> residuals;      // [size, kLanes] weights - values
  std::vector<uint8_t> unroundable;  // [kLanes] 1: beyond the range of the type's scales

  uint64_t size() const { return compensation->moment().block(); }
  uint64_t first_column() const { return matrix * size(); }
  uint64_t BlocksOfRow() const { return size() / format->block; }
  Block& BlockAt(uint64_t row, uint64_t column) {
    return blocks[row * BlocksOfRow() + column / format->block];
  }
  const float* Weights(uint64_t row) const { return weights + row * weights_stride; }

  void Prepare();
  // Blocks of the plain quantiser for [rows, format->block] floats that belong at `column`.
  void QuantizePlainly(const float* from, uint64_t column);
  // The float parts of a group's scales, ready for the kernels; inverse 0 for a scale of 0.
  struct Scales {
    float scale, inverse, min;
  };
  Scales ScalesAt(uint64_t row, uint64_t column);
  // values and residuals of columns [first, first + count) of all rows, from the blocks.
  void Evaluate(uint64_t first, uint64_t count);
};

// Rounds every column with feedback of the errors of those before it.
void FeedErrors(RoundingBatch& batch);

// Rounds as the plain quantiser does.
void RoundPlainly(RoundingBatch& batch);

struct DescentOptions {
  int sweeps = 0;
  bool refit_groups = false;  // integer scales and mins of groups
  bool refit_blocks = false;  // float scales of blocks
};
void Descend(RoundingBatch& batch, const DescentOptions& options);

}  // namespace trimma
