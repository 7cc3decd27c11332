// The knapsack of allocate.h where types cost time, too. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "quantize/allocation/allocate.h"

namespace trimma {

// What something takes of the time for one token, and for a prompt.
struct Seconds {
  double token = 0;
  double prompt = 0;
};

struct TimeLimit {
  std::vector<std::vector<Seconds>> extra;  // [tensor][choice]: more than a baseline; may be less
  Seconds allowed;                          // for the sums of them
};

struct TimedAllocation {
  Allocation allocation;
  bool in_time = false;  // false: as near to the limit as was found
};

// As AllocateWithin, but of the choices that keep the limit. A second is given a price in nats,
// just as high as the limit asks for: Lagrange's way, which finds the best or nearly so.
Result<TimedAllocation> AllocateInTime(const std::vector<TypeChoices>& tensors,
                                       uint64_t budget_bytes, const TimeLimit& limit);

}  // namespace trimma
