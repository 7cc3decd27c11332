#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/result.h"

namespace trimma {
namespace {

constexpr std::array kMantissas = {1.0, 2.0, 5.0, 10.0};

// The smallest 1, 2 or 5 times a power of ten that is not below `value`.
double RoundUp(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double mantissa : kMantissas) {
    if (mantissa * power >= value * (1 - 1e-9)) return mantissa * power;
  }
  return 10 * power;
}

double RoundDown(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value) + 1e-9));
  double best = power;
  for (const double mantissa : kMantissas) {
    if (mantissa * power <= value * (1 + 1e-9)) best = mantissa * power;
  }
  return best;
}

double AlongAxis(double value, const Ticks& ticks, bool log) {
  double share = 0;
  if (log) {
    const double safe = std::max(value, ticks.low);
    share = std::log(safe / ticks.low) / std::log(ticks.high / ticks.low);
  } else {
    share = (value - ticks.low) / (ticks.high - ticks.low);
  }
  return std::clamp(share, 0.0, 1.0);
}

}  // namespace

Ticks LinearTicks(double low, double high, int count) {
  CHECK(std::isfinite(low) && std::isfinite(high) && low <= high && count > 0);
  if (high <= low) high = low + std::max(1.0, std::abs(low) * 0.1);
  const double step = RoundUp((high - low) / count);
  const double first = std::floor(low / step + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  Ticks ticks;
  for (double i = first; i <= last; ++i) ticks.at.push_back(i * step);
  ticks.low = ticks.at.front();
  ticks.high = ticks.at.back();
  return ticks;
}

Ticks LogTicks(double low, double high) {
  CHECK(std::isfinite(low) && std::isfinite(high) && low > 0 && low <= high);
  Ticks ticks;
  ticks.low = RoundDown(low);
  ticks.high = RoundUp(high);
  if (ticks.high < ticks.low * 9.99) {
    ticks.low = RoundDown(low / 2);
    ticks.high = RoundUp(high * 2);
  }
  const double decades = std::log10(ticks.high / ticks.low);
  if (decades <= 2) {
    for (double at = ticks.low; at < ticks.high * 0.999; at = RoundUp(at * 1.5)) {
      ticks.at.push_back(at);
    }
    ticks.at.push_back(ticks.high);
    return ticks;
  }
  const double first = std::floor(std::log10(ticks.low) + 1e-9);
  const double last = std::ceil(std::log10(ticks.high) - 1e-9);
  const double every = std::ceil((last - first) / 6);
  for (double e = first; e < last + every; e += every) ticks.at.push_back(std::pow(10.0, e));
  ticks.low = ticks.at.front();
  ticks.high = ticks.at.back();
  return ticks;
}

std::string TickLabel(double value) { return fmt::format("{:.4g}", value); }

ByteUnit UnitFor(uint64_t bytes) {
  static constexpr std::array<ByteUnit, 5> kUnits = {ByteUnit{1, "B"},
                                                     {1024.0, "KiB"},
                                                     {1048576.0, "MiB"},
                                                     {1073741824.0, "GiB"},
                                                     {1099511627776.0, "TiB"}};
  ByteUnit unit = kUnits[0];
  for (const ByteUnit& candidate : kUnits) {
    if (static_cast<double>(bytes) >= candidate.bytes) unit = candidate;
  }
  return unit;
}

Point PointOf(const Frame& frame, double x, double y) {
  const Box& area = frame.area;
  return {area.x + area.width * AlongAxis(x, frame.x, false),
          area.y + area.height * (1 - AlongAxis(y, frame.y, frame.log_y))};
}

void DrawYAxis(Svg& svg, const Frame& frame) {
  const Box& area = frame.area;
  for (const double y : frame.y.at) {
    const Point at = PointOf(frame, frame.x.low, y);
    svg.Line(at, {area.x + area.width, at.y}, "grid");
    svg.Text({area.x - 5, at.y + 4}, Anchor::kEnd, TickLabel(y), "tick");
  }
}

void DrawXAxis(Svg& svg, const Frame& frame, double y, const std::string& title) {
  const Box& area = frame.area;
  for (const double value : frame.x.at) {
    const double x = PointOf(frame, value, frame.y.low).x;
    svg.Line({x, y}, {x, y + 4}, "axis");
    svg.Text({x, y + 16}, Anchor::kMiddle, TickLabel(value), "tick");
  }
  svg.Line({area.x, y}, {area.x + area.width, y}, "axis");
  svg.Text({area.x + area.width / 2, y + 32}, Anchor::kMiddle, title, "tick");
}

}  // namespace trimma
