// Figures and their intervals as JSON.
#pragma once

#include <optional>

#include "base/child.h"
#include "base/stats.h"

namespace trimma {

// JSON has no infinity and no NaN: null where a figure isn't finite.
Json NumberOrNull(double value);
// Its inverse: an interval that one chunk can't bound has no number there.
double NumberOrInfinity(const Json& json);

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

// {"median", "low", "high", "n"}.
Json ToJson(const Spread& spread);
// Throws nlohmann::json::exception where one is missing.
Spread SpreadFromJson(const Json& json);

// [low, high] of an interval that claims 95 %: null where so few samples can't bound the median
// (kFewestForInterval), for the range of all of them promises less.
Json Interval95(const Spread& spread);

}  // namespace trimma
