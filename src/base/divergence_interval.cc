#include "base/divergence_interval.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"

namespace trimma {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// How far one chunk moves a mean over all of them, in units of the mean: n of these average to 0.
std::vector<double> Deviations(const ChunkSums& chunks, double mean, double unit) {
  double count = 0;
  for (const double c : chunks.counts) count += c;
  const double scale = unit * count / static_cast<double>(chunks.size());
  std::vector<double> deviations;
  for (size_t i = 0; i < chunks.size(); ++i)
    deviations.push_back((chunks.sums[i] - mean * chunks.counts[i]) / scale);
  return deviations;
}

// Half the interval of what these deviations average to.
double HalfWidth(const std::vector<double>& deviations, double level) {
  const auto n = static_cast<double>(deviations.size());
  if (n < 2) return kInfinity;
  double squares = 0;
  for (const double d : deviations) squares += d * d;
  return TQuantile((1 - level) / 2, n - 1) * std::sqrt(squares / (n * (n - 1)));
}

MeanInterval OnLogScale(double centre, double half) {
  return {centre, centre * std::exp(-half), centre * std::exp(half)};
}

}  // namespace

double ChunkSums::Mean() const {
  double sum = 0;
  double count = 0;
  for (size_t i = 0; i < size(); ++i) {
    sum += sums[i];
    count += counts[i];
  }
  return count > 0 ? sum / count : 0;
}

MeanInterval PositiveMean(const ChunkSums& chunks, double level) {
  const double mean = chunks.Mean();
  if (!(mean > 0) || !std::isfinite(mean)) return {mean, mean, mean};
  if (chunks.size() < 2) return {mean, 0, kInfinity};
  return OnLogScale(mean, HalfWidth(Deviations(chunks, mean, mean), level));
}

MeanInterval AnyMean(const ChunkSums& chunks, double level) {
  const double mean = chunks.Mean();
  if (chunks.size() < 2) return {mean, -kInfinity, kInfinity};
  const double half = HalfWidth(Deviations(chunks, mean, 1), level);
  return {mean, mean - half, mean + half};
}

MeanInterval PairedRatio(const ChunkSums& a, const ChunkSums& b, double level) {
  CHECK(a.counts == b.counts);
  const double mean_a = a.Mean();
  const double mean_b = b.Mean();
  // One that loses nothing at all is better, whatever the text.
  if (mean_a == 0 && mean_b > 0) return {0, 0, 0};
  if (mean_b == 0 && mean_a > 0) return {kInfinity, kInfinity, kInfinity};
  if (!(mean_a > 0) || !(mean_b > 0)) return {mean_a == mean_b ? 1 : mean_a / mean_b, 0, kInfinity};
  if (a.size() < 2) return {mean_a / mean_b, 0, kInfinity};
  std::vector<double> deviations = Deviations(a, mean_a, mean_a);
  const std::vector<double> others = Deviations(b, mean_b, mean_b);
  for (size_t i = 0; i < deviations.size(); ++i) deviations[i] -= others[i];
  return OnLogScale(mean_a / mean_b, HalfWidth(deviations, level));
}

double RelativePrecision(const MeanInterval& interval) {
  if (interval.low == interval.high) return 0;
  return std::log(interval.high / interval.low) / 2;
}

}  // namespace trimma
