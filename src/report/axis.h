// Axes: round numbers, and where a value stands between them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/svg.h"

namespace trimma {

struct Ticks {
  double low = 0;
  double high = 1;
  std::vector<double> at;  // ascending; the first is low, the last is high
};

// Steps of 1, 2 or 5 times a power of ten, about `count` of them, that enclose [low, high].
Ticks LinearTicks(double low, double high, int count);
// Likewise on a logarithmic axis (low > 0) of about a decade or more: 1, 2, 5 within two
// decades, powers of ten beyond.
Ticks LogTicks(double low, double high);

std::string TickLabel(double value);  // the fewest digits: "0.05", "250", "1e-05"

// The unit in which sizes up to `bytes` are labelled.
struct ByteUnit {
  double bytes = 1;
  const char* name = "B";
};
ByteUnit UnitFor(uint64_t bytes);

struct Frame {
  Box area;
  Ticks x;
  Ticks y;
  bool log_y = false;
};

Point PointOf(const Frame& frame, double x, double y);  // clamped to the area
void DrawYAxis(Svg& svg, const Frame& frame);
// At height `y`, which may be below the area.
void DrawXAxis(Svg& svg, const Frame& frame, double y, const std::string& title);

}  // namespace trimma
