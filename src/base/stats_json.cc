#include "base/stats_json.h"

#include <cmath>

namespace trimma {

Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json ToJson(const Spread& spread) {
  return {{"median", spread.median}, {"low", spread.low}, {"high", spread.high}, {"n", spread.n}};
}

Spread SpreadFromJson(const Json& json) {
  return {json.at("median"), json.at("low"), json.at("high"), json.at("n")};
}

Json Interval95(const Spread& spread) {
  if (spread.n < kFewestForInterval) return nullptr;
  return {NumberOrNull(spread.low), NumberOrNull(spread.high)};
}

}  // namespace trimma
