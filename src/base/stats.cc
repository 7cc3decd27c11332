#include "base/stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"

namespace trimma {
namespace {

double MedianOfSorted(const std::vector<double>& sorted) { return Quantile(sorted, 0.5); }

// The largest k with P(Binomial(n, 1/2) < k) <= tail, so that the k-th smallest and the k-th
// largest sample (1-based) enclose the median with at least 1 - 2 tail. 0 if there is none.
int64_t MedianRank(int64_t n, double tail) {
  // Beyond this the normal approximation is exact enough, and 2^-n would underflow. So many degrees
  // of freedom make Student's t normal.
  if (n > 500)
    return static_cast<int64_t>(
        std::floor(static_cast<double>(n) / 2 -
                   TQuantile(tail, 1 << 20) / 2 * std::sqrt(static_cast<double>(n))));
  double cumulative = 0;
  double term = std::exp2(-static_cast<double>(n));
  int64_t k = 0;
  while (k < n && cumulative + term <= tail) {
    cumulative += term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
    ++k;
  }
  return k;
}

Spread SpreadAt(const std::vector<double>& sorted, int64_t rank) {
  const auto n = static_cast<int64_t>(sorted.size());
  return {MedianOfSorted(sorted), sorted[static_cast<size_t>(rank - 1)],
          sorted[static_cast<size_t>(n - rank)], n};
}

// The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction, which
// converges fast for x < (a + 1) / (a + b + 2).
double IncompleteBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - IncompleteBeta(b, a, 1 - x);
  constexpr double kTiny = 1e-300;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x)) /
                       a;
  double c = 1;
  double d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double fraction = d;
  for (int m = 1; m < 1000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double numerator : {even, odd}) {
      d = 1 + numerator * d;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      c = 1 + numerator / c;
      if (std::abs(c) < kTiny) c = kTiny;
      change = c * d;
      fraction *= change;
    }
    if (std::abs(change - 1) < 1e-14) break;
  }
  return front * fraction;
}

}  // namespace

double TQuantile(double tail, double freedom) {
  CHECK(tail > 0 && tail <= 0.5 && freedom > 0);
  // P(T > t) = I_x(freedom / 2, 1 / 2) / 2 with x = freedom / (freedom + t^2), which grows with x.
  double low = 0;
  double high = 1;
  for (int i = 0; i < 200; ++i) {
    const double x = (low + high) / 2;
    if (x <= low || x >= high) break;  // no number lies between
    (IncompleteBeta(freedom / 2.0, 0.5, x) / 2 > tail ? high : low) = x;
  }
  const double x = (low + high) / 2;
  return std::sqrt(freedom * (1 - x) / x);
}

MeanInterval TrimmedInterval(std::vector<double> values, double tail) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (values.empty()) return {0, -kInfinity, kInfinity};
  if (values.size() == 1) return {values[0], -kInfinity, kInfinity};
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  const size_t cut = n / 10;
  const auto kept = static_cast<double>(n - 2 * cut);
  double sum = 0;
  for (size_t i = cut; i < n - cut; ++i) sum += values[i];
  const double centre = sum / kept;
  // Of the values with the ends drawn in.
  double drawn_in = 0;
  for (const double value : values) drawn_in += std::clamp(value, values[cut], values[n - 1 - cut]);
  drawn_in /= static_cast<double>(n);
  double squares = 0;
  for (const double value : values) {
    const double off = std::clamp(value, values[cut], values[n - 1 - cut]) - drawn_in;
    squares += off * off;
  }
  const double half = TQuantile(tail, kept - 1) * std::sqrt(squares / (kept * (kept - 1)));
  return {centre, centre - half, centre + half};
}

double Quantile(const std::vector<double>& sorted, double q) {
  CHECK(!sorted.empty());
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double share = at - static_cast<double>(below);
  return sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

Spread MedianSpread(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const auto n = static_cast<int64_t>(samples.size());
  return SpreadAt(samples, std::max<int64_t>(1, MedianRank(n, 0.025)));
}

std::optional<Spread> MedianSpreadWithin(std::vector<double> samples, double error) {
  const int64_t rank = MedianRank(static_cast<int64_t>(samples.size()), error / 2);
  if (rank == 0) return std::nullopt;
  std::sort(samples.begin(), samples.end());
  return SpreadAt(samples, rank);
}

}  // namespace trimma
