// The search behind QuantizeRowsBest, one batch of groups at a time:
//
//   LoadBatch (load_batch-inl.h)       values and weights, transposed
//   FitGroups (best_*.cc)              scale and min of each group, free of any format
//   ChooseBlockScales (super_scale.h)  the halves that a block holds
//   RefineGroups (best_*.cc)           the groups' integers, by the error that is left
//   WriteCodes (levels-inl.h), PackBatch
//
// best_reference.h does the same one weight at a time.
#pragma once

#include <cstdint>

#include "quantize/kernels/group_batch.h"

namespace trimma {

struct BestJob {
  const BlockFormat* format;
  Measure measure;
  uint8_t* to;  // the first block of the tensor
};

// Quantise the blocks of `source` into job.to; false if a scale was cut to the largest half. For
// types with mins, and without.
bool BestAffineBatch(const BestJob& job, const BatchSource& source);
bool BestSymmetricBatch(const BestJob& job, const BatchSource& source);

// Q8_0: `blocks` of 32 values, rounded to nearest.
bool BestQ8_0(const float* from, uint64_t blocks, uint8_t* to);

// The batch's blocks into job.to; as above.
bool PackBatch(const BestJob& job, const BatchSource& source, const GroupBatch& batch,
               const BatchScales& scales, const BatchCodes& codes);

}  // namespace trimma
