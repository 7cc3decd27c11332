// The scales that the groups of a block share.
#pragma once

#include "quantize/kernels/group_batch.h"

namespace trimma {

// In units: the nearest value that a half can hold. Beyond the range of halves, the largest.
float HalfScale(float value, float unit);

// The integers that `values` are multiples by, each with the weight of its squared error.
struct SuperScaleProblem {
  const float* values;
  const float* weights;
  size_t count;
  int low, high;  // of the integers
  float unit;
};

// The scale, in units and held by a half, whose multiples come nearest to the values.
float ChooseSuperScale(const SuperScaleProblem& problem);

// Fills scale and min_scale for the first `blocks` blocks, from their groups' fits; also scales and
// mins, with 1, where the groups have none.
void ChooseBlockScales(const BlockFormat& format, const GroupBatch& batch, const GroupFit& fit,
                       size_t blocks, BatchScales& scales);

}  // namespace trimma
