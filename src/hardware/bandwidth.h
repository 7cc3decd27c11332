// Measured memory bandwidth.
#pragma once

#include <cstdint>

#include "base/stats.h"

namespace trimma {

struct BandwidthOptions {
  int threads = 1;
  uint64_t buffer_bytes = 512ULL << 20;  // well beyond the last cache
  int repeats = 9;
};

// Bytes per second of all threads together, each reading its own share of one buffer in
// order, as decoding reads weights. Median and spread over the repeats.
Spread MeasureReadBandwidth(const BandwidthOptions& options);

}  // namespace trimma
