// Figures as the reports show them. One rule above all: what was not measured is called so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/stats.h"
#include "measure/quality.h"

namespace trimma {

inline constexpr const char* kNotMeasured = "not measured";

// A rate, a time or a size is known when it is finite and above zero.
bool Known(double value);
bool Known(const Spread& spread);
// A divergence is known when finite; zero is a valid one.
bool KnownQuality(const std::optional<Quality>& quality);

enum class Unit { kTokensPerSecond, kMilliseconds };

std::string Number(double value);             // three significant digits: "1 234", "56.3"
std::string Amount(double value, Unit unit);  // "56.3 tok/s", "340 ms", "1.20 s"
std::string Bytes(uint64_t bytes);            // "18.4 MiB"; 0 is not measured
std::string Divergence(double kld);           // "0.0169", "3.1e-05"
std::string Share(double share);              // 0.931: "93.1 %"
std::string Interval(const Spread& spread,
                     Unit unit);  // "402 to 418", in the unit of Amount(median); "" if unknown

}  // namespace trimma
