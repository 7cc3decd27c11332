#include "report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace trimma {
namespace {

struct Scaled {
  double factor = 1;
  const char* name = "tok/s";
};

// Both ends of an interval are written in the unit of its centre.
Scaled ScaleFor(double centre, Unit unit) {
  if (unit == Unit::kTokensPerSecond) return {1, "tok/s"};
  return centre < 999.5 ? Scaled{1, "ms"} : Scaled{0.001, "s"};
}

}  // namespace

bool Known(double value) { return std::isfinite(value) && value > 0; }

bool Known(const Spread& spread) {
  return spread.n > 0 && Known(spread.median) && std::isfinite(spread.low) &&
         std::isfinite(spread.high);
}

bool KnownQuality(const std::optional<Quality>& quality) {
  return quality && quality->tokens > 0 && std::isfinite(quality->mean_kld);
}

std::string Number(double value) {
  if (!std::isfinite(value)) return kNotMeasured;
  if (value >= 999.5)
    return FormatCount(static_cast<uint64_t>(std::llround(std::min(value, 1e18))));
  if (value >= 99.95) return fmt::format("{:.0f}", value);
  if (value >= 9.995) return fmt::format("{:.1f}", value);
  if (value >= 0.9995) return fmt::format("{:.2f}", value);
  return fmt::format("{:.3g}", value);
}

std::string Amount(double value, Unit unit) {
  if (!Known(value)) return kNotMeasured;
  const Scaled scaled = ScaleFor(value, unit);
  return fmt::format("{} {}", Number(value * scaled.factor), scaled.name);
}

std::string Bytes(uint64_t bytes) { return bytes == 0 ? kNotMeasured : FormatBytes(bytes); }

std::string Divergence(double kld) {
  if (!std::isfinite(kld)) return kNotMeasured;
  if (kld == 0) return "0";
  if (std::abs(kld) < 1e-4) return fmt::format("{:.1e}", kld);
  // Three significant digits with their zeros: 0.00140 says more than 0.0014.
  const int before_point = static_cast<int>(std::floor(std::log10(std::abs(kld))));
  return fmt::format("{:.{}f}", kld, std::max(0, 2 - before_point));
}

std::string Share(double share) {
  if (!std::isfinite(share)) return kNotMeasured;
  return fmt::format("{:.1f} %", share * 100);
}

std::string Interval(const Spread& spread, Unit unit) {
  if (!Known(spread)) return "";
  const Scaled scaled = ScaleFor(spread.median, unit);
  return fmt::format("{} to {}", Number(spread.low * scaled.factor),
                     Number(spread.high * scaled.factor));
}

}  // namespace trimma
