#include "hardware/overhead.h"

#include <cmath>

#include "base/units.h"

namespace trimma {

uint64_t ReserveBytes(const Overhead& overhead, const Load& load) {
  const double pool = overhead.pool_bytes_per_activation * static_cast<double>(load.ubatch) *
                      static_cast<double>(load.widest_row);
  return overhead.fixed_bytes + (load.split ? overhead.split_bytes : 0) +
         static_cast<uint64_t>(std::llround(pool)) + overhead.margin_bytes;
}

Overhead EstimatedOverhead(uint64_t stack_bytes) {
  constexpr uint64_t kLargestStack = 264 * kMiB;  // of an H100
  Overhead overhead;
  overhead.context_bytes = 260 * kMiB + (stack_bytes > 0 ? stack_bytes : kLargestStack);
  overhead.fixed_bytes = overhead.context_bytes + 84 * kMiB;
  overhead.split_bytes = 39 * kMiB;
  overhead.pool_bytes_per_activation = 1.03;
  overhead.margin_bytes = 128 * kMiB;
  overhead.basis = "estimated from an H100's";
  return overhead;
}

Json ToJson(const Overhead& overhead) {
  return {{"fixed_bytes", overhead.fixed_bytes},
          {"context_bytes", overhead.context_bytes},
          {"split_bytes", overhead.split_bytes},
          {"pool_bytes_per_activation", overhead.pool_bytes_per_activation},
          {"margin_bytes", overhead.margin_bytes},
          {"learned", overhead.learned},
          {"basis", overhead.basis}};
}

Overhead OverheadFromJson(const Json& json) {
  return {json.at("fixed_bytes"),  json.at("context_bytes"),
          json.at("split_bytes"),  json.at("pool_bytes_per_activation"),
          json.at("margin_bytes"), json.at("learned"),
          json.at("basis")};
}

}  // namespace trimma
