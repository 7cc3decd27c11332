// 16 groups of weights side by side: each lane of a vector searches a group of its own, which takes
// no sums across lanes and no branches, and comes to the same whatever the vectors' width.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/blocks/block_format.h"

namespace trimma {

inline constexpr size_t kGroupLanes = 16;
inline constexpr size_t kMaxGroup = 32;  // weights

// What squared errors are weighed with, q being the importance: q sqrt(share s + x^2), where s is
// the mean square of what `mean` says, or q alone.
enum class MeanOf { kNothing, kBlock, kRow };
struct Measure {
  MeanOf mean;
  float share;
};
Measure MeasureOf(TensorType type);

// Values are divided by a power of two, `unit`, that brings the largest of their block into [1, 2).
// That is exact, and no sum of squares overflows however large they are. Weights are divided by the
// largest of their block.
struct alignas(64) GroupBatch {
  float x[kMaxGroup][kGroupLanes];  // x[i][g]: weight i of group g
  float w[kMaxGroup][kGroupLanes];
  float unit[kGroupLanes];
};

// The least weight, so that a group of no importance is fitted like any other.
inline constexpr float kLeastWeight = 0x1p-40F;
// Blocks with no larger value are zeros, groups with no larger range are flat. A half can't hold
// less than 2^-24.
inline constexpr float kLeastMagnitude = 0x1p-60F;
inline constexpr float kLargestImportance = 1e20F;
inline constexpr float kLargestRoot = 1e15F;  // of a row's mean square, in units of a block

// Some blocks of a tensor, all rows taken as one sequence of blocks.
struct BatchSource {
  const float* values;      // of the tensor
  const float* importance;  // [blocks_per_row * block] or nullptr
  uint64_t blocks_per_row;
  const float* row_roots;  // of the rows' mean squares, for MeanOf::kRow
  uint64_t first;          // block
  uint64_t count;  // of blocks: kGroupLanes / groups of a block, or fewer; the last lanes are 0
};

// The fit of x = scale * level - min in each group, and halves of the second derivatives of its
// error: ll by the scale, l by both (negated), w by the min.
struct GroupFit {
  alignas(64) float scale[kGroupLanes];
  alignas(64) float min[kGroupLanes];
  alignas(64) float ll[kGroupLanes];
  alignas(64) float l[kGroupLanes];
  alignas(64) float w[kGroupLanes];
};

// What the blocks will hold: x = scale * scales * level - min_scale * mins, in units.
struct BatchScales {
  alignas(64) float scale[kGroupLanes];  // one value for all groups of a block
  alignas(64) float min_scale[kGroupLanes];
  alignas(64) float scales[kGroupLanes];  // integers
  alignas(64) float mins[kGroupLanes];
};

using BatchCodes = uint8_t[kMaxGroup][kGroupLanes];

}  // namespace trimma
