#include <cmath>

#include "quantize/kernels/best.h"

namespace trimma {

bool PackBatch(const BestJob& job, const BatchSource& source, const GroupBatch& batch,
               const BatchScales& scales, const BatchCodes& codes) {
  constexpr float kLargestHalf = 65504;
  const BlockFormat& format = *job.format;
  const uint32_t groups = format.groups();
  bool fits = true;
  Block block;
  for (uint64_t b = 0; b < source.count; ++b) {
    const size_t first = b * groups;
    block.scale = scales.scale[first] * batch.unit[first];
    block.min_scale = scales.min_scale[first] * batch.unit[first];
    fits &= std::fabs(block.scale) < kLargestHalf && std::fabs(block.min_scale) < kLargestHalf;
    for (uint32_t g = 0; g < groups; ++g) {
      block.scales[g] = static_cast<int8_t>(scales.scales[first + g]);
      block.mins[g] = static_cast<uint8_t>(scales.mins[first + g]);
      for (uint32_t i = 0; i < format.group; ++i)
        block.codes[g * format.group + i] = codes[i][first + g];
    }
    PackBlock(format, block, job.to + (source.first + b) * format.bytes);
  }
  return fits;
}

}  // namespace trimma
