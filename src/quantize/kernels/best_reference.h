// The search of best.h without vectors, one weight after another: what it is meant to do, and what
// the vector code is tested against. With fused multiply-add the bytes are the same.
#pragma once

#include <cstdint>

#include "quantize/blocks/block_format.h"

namespace trimma {

struct ReferenceSource {
  const float* x;           // [format.block]
  const float* importance;  // [format.block], or nullptr
  float row_root;           // of the row's mean square
};

// Any type with a kernel but Q8_0.
void QuantizeBlockReference(const BlockFormat& format, const ReferenceSource& from, Block& block);

}  // namespace trimma
