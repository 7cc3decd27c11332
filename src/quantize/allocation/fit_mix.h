// The most bytes that a mix of types may have and still fit where it is to run. Pure: what a mix
// takes there is asked of the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/result.h"
#include "quantize/allocation/mix.h"

namespace trimma {

struct FitQuestion {
  uint64_t least_bytes = 0;  // of a whole file: the smallest there is, and the source's types
  uint64_t most_bytes = 0;
  // The best mix of at most so many bytes.
  std::function<Result<ChosenMix>(uint64_t file_bytes)> choose;
  // Bytes that a mix leaves free where it is to run; negative: so many too many.
  std::function<Result<int64_t>(const Assignment& mix)> room;
};

struct FittedMix {
  ChosenMix mix;
  uint64_t budget_bytes = 0;  // that it was chosen for
  int64_t room_bytes = 0;     // that it leaves
};

// Budgets within kFitStep are alike.
inline constexpr uint64_t kFitStep = 256 << 10;

// Tries budgets in steps of the room that is left, for a device rarely takes more than the file
// grows by, and halves the way where it does. nullopt where the smallest mix has no room.
Result<std::optional<FittedMix>> FitMix(const FitQuestion& question);

}  // namespace trimma
