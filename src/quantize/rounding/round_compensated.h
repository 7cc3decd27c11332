// Rounding a matrix of weights into ggml's blocks so that its output changes least.
//
// Plain rounding takes each weight by itself; here errors of some weights make up for those of
// others, as far as the moment H of the matrix's input says they act on the same inputs:
//   1. feedback (feedback.cc): column by column, each error moves what later columns aim for;
//   2. sweeps (descent.cc): each code, given all others, is set to its best until nothing changes.
// Files stay readable by any llama.cpp: only the numbers in the blocks are chosen better.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "quantize/rounding/compensation.h"
#include "quantize/rounding/rounding_batch.h"
#include "quantize/rounding/weighted_error.h"

namespace trimma {

struct RoundingOptions {
  int threads = 1;
  bool feedback = true;  // false: sweeps start from plain rounding
  int sweeps = 4;        // at most; a row that no longer changes gets no more
  // Scales are refitted after each sweep, and one more sweep follows.
  bool refit_groups = true;
  bool refit_blocks = false;
  bool measure = true;   // the errors in the result, for half of the time again
  PlainQuantizer plain;  // empty: QuantizeRows of engine/rows.h (prepared by the caller)
};

struct RoundingResult {
  // tr(R H R^T) with the moment as given, of what was written and of plain rounding with
  // Compensation::importance; 0 unless measured.
  double error = 0;
  double plain_error = 0;
  Damping damping;          // Compensation::damping
  uint64_t plain_rows = 0;  // rounded plainly: their scales are beyond the type's range
  std::string note;         // what did not go as usual; "" as a rule
};

// The types that FindBlockFormat knows.
bool CanRoundCompensated(TensorType type);

// Writes blocks of `type` for all rows to `to`. weights.n is the moment's n, and n and the moment's
// block are multiples of the type's block: anything else is a bug. A moment of zero gives plain
// rounding, and a note. The same bytes for any number of threads. Errors: an interrupt.
Result<RoundingResult> RoundCompensated(const WeightMatrix& weights, TensorType type,
                                        const Compensation& compensation,
                                        const RoundingOptions& options, void* to);

}  // namespace trimma
