// Which second moments are summed up together, and in whose memory. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "quantize/calibration/moments_file.h"

namespace trimma {

// What sums may take. Each part of the text is summed up by itself, so a moment is there once.
struct SumsMemory {
  uint64_t host_bytes = 0;
  std::vector<uint64_t> device_bytes;  // of each device that inputs lie on
};

// What a pass over the text costs beside the sums.
enum class PassCost {
  kLittle,  // the model lies on devices
  kMuch,    // part of it lies on the host, though a device may compute with it
};

struct SumsPlan {
  std::vector<std::vector<size_t>> passes;  // each evaluates the whole text
  std::vector<std::optional<size_t>>
      devices;  // that hold the sums of each input; nullopt: the host
};

// `lies_on`: the device that each input lies on, nullopt the host.
//
// A device sums up what lies on it, in full, as much as its memory holds beside the largest
// product. The rest is summed up on the host: what is too wide for the device, and, where the model
// lies partly on the host and a pass is slow, what would take more passes than without a device. On
// the host an input whose moment alone is larger than the memory gets the largest diagonal blocks
// that fit (multiples of 256); sets the inputs' blocks.
SumsPlan PlanPasses(std::vector<ModelInput>& inputs,
                    const std::vector<std::optional<size_t>>& lies_on, const SumsMemory& memory,
                    PassCost cost);

}  // namespace trimma
