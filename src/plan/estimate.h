// A figure that was predicted, with how sure we are of it.
#pragma once

#include <optional>
#include <string>

#include "base/child.h"

namespace trimma {

struct Estimate {
  double value = 0;
  double low = 0;  // the interval that holds the true figure in at least 90 of 100 cells
  double high = 0;
  bool measured = false;  // rests on measurements of this machine, or of this very file
  bool operator==(const Estimate&) const = default;
};

// Of what isn't rounded.
inline constexpr Estimate kNoLoss = {0, 0, 0, true};

// {"low", "high", "measured"} beside the figure itself; null where there is none.
Json IntervalJson(const std::optional<Estimate>& estimate);
Json ValueJson(const std::optional<Estimate>& estimate);

}  // namespace trimma
