// Better scales for the codes that a row has.
#pragma once

#include "quantize/rounding/descent_kernel.h"

namespace trimma {

// A row's blocks in the window, and its state there (descent_kernel.h), kept true.
struct RefitRow {
  const BlockFormat* format = nullptr;
  Block* blocks = nullptr;  // with codes
  float* values = nullptr;
  float* products = nullptr;
  float* deltas = nullptr;
};

// The integer scale and min of each group that make r^T H r least, given everything else. Returns
// how many groups changed. Only for formats with group scales.
uint64_t RefitGroups(const WindowMatrix& matrix, const RefitRow& row);

// The same for the float scale, and min scale, of each block.
uint64_t RefitBlocks(const WindowMatrix& matrix, const RefitRow& row);

}  // namespace trimma
