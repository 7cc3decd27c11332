#include "base/stats_json.h"

#include <cmath>
#include <limits>

namespace trimma {

Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

double NumberOrInfinity(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

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
