// The inner loop of error feedback: a few columns, many rows side by side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/blocks/block_format.h"

namespace trimma {

inline constexpr uint64_t kLanes = 64;        // rows of a batch
inline constexpr uint64_t kStepColumns = 32;  // a block of the small types, 1 or 2 groups

// Of one group of columns: what a row's levels are multiplied with, and what is taken off.
struct LaneScales {
  alignas(64) float scale[kLanes];
  alignas(64) float inverse[kLanes];  // of the scale; 0 where that is 0
  alignas(64) float min[kLanes];
};

// All arrays [kStepColumns, kLanes].
struct FeedbackStep {
  const BlockFormat* format = nullptr;
  LaneScales scales[2];            // of the step's groups
  const float* inverse = nullptr;  // U, upper triangular (Compensation::Inverse), at the step
  size_t inverse_stride = 0;
  float* targets = nullptr;  // in: what the weights should be; changed
  float* values = nullptr;   // out: what they are after rounding
  float* errors = nullptr;   // out: (target - value) / U[j, j], to be fed to later columns
  uint8_t* codes = nullptr;  // out
};

// Column by column: rounds, and takes errors[j] * U[j, k] off the targets of the step's columns
// k > j.
void RoundStep(FeedbackStep& step);

}  // namespace trimma
