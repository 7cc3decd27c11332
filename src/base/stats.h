// Statistics of measurements: robust centres and honest intervals.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trimma {

// A measured quantity: the median of the samples with the interval that holds the true
// median with at least 95 % (order statistics, exact for any distribution; with fewer than
// six samples no such interval exists and the range of all samples is given).
struct Spread {
  double median = 0;
  double low = 0;
  double high = 0;
  int64_t n = 0;
  bool operator==(const Spread&) const = default;
};
Spread MedianSpread(std::vector<double> samples);
// The fewest samples of which two enclose the median with 95 %: 2 * 2^-6 is the first below 5 %.
inline constexpr int64_t kFewestForInterval = 6;

// The same with another chance of error than 5 %. nullopt: no two of so few samples enclose the
// median that surely.
std::optional<Spread> MedianSpreadWithin(std::vector<double> samples, double error);

// Linear-interpolated quantile, q in [0, 1]; `sorted` ascending and not empty.
double Quantile(const std::vector<double>& sorted, double q);

// Mean with a 95 % interval.
struct MeanInterval {
  double mean = 0;
  double low = 0;
  double high = 0;
};

// Student's t with `freedom` degrees of freedom: what is exceeded with probability `tail`, 0 to
// 0.5.
double TQuantile(double tail, double freedom);

// Trimmed mean with an interval that each side exceeds with probability `tail` (Tukey and
// McLaughlin 1963): a tenth of the values at each end count as their neighbours do, so that a
// sample disturbed by another process doesn't decide. At least two values, or the interval is
// everything.
MeanInterval TrimmedInterval(std::vector<double> values, double tail);

}  // namespace trimma
