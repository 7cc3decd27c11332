#include "base/stats.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/result.h"

namespace trimma {
namespace {

constexpr uint32_t kSeed = 20'261'123;

MeanInterval Percentiles(double centre, std::vector<double> resampled) {
  std::sort(resampled.begin(), resampled.end());
  return {centre, Quantile(resampled, 0.025), Quantile(resampled, 0.975)};
}

double MedianOfSorted(const std::vector<double>& sorted) { return Quantile(sorted, 0.5); }

std::vector<double> Resample(const std::vector<double>& samples, std::mt19937& random) {
  std::uniform_int_distribution<size_t> pick(0, samples.size() - 1);
  std::vector<double> drawn(samples.size());
  for (double& d : drawn) d = samples[pick(random)];
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

// The largest k with P(Binomial(n, 1/2) < k) <= 0.025, so that the k-th smallest and the
// k-th largest sample (1-based) enclose the median with at least 95 %. 0 if there is none.
int64_t MedianRank(int64_t n) {
  // Beyond this the normal approximation is exact enough, and 2^-n would underflow.
  if (n > 500)
    return static_cast<int64_t>(
        std::floor(static_cast<double>(n) / 2 - 0.98 * std::sqrt(static_cast<double>(n))));
  double cumulative = 0;
  double term = std::exp2(-static_cast<double>(n));
  int64_t k = 0;
  while (k < n && cumulative + term <= 0.025) {
    cumulative += term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
    ++k;
  }
  return k;
}

}  // namespace

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
  const int64_t rank = std::max<int64_t>(1, MedianRank(n));
  return {MedianOfSorted(samples), samples[static_cast<size_t>(rank - 1)],
          samples[static_cast<size_t>(n - rank)], n};
}

MeanInterval GroupBootstrap(const std::vector<double>& sums, const std::vector<int64_t>& counts,
                            int rounds) {
  CHECK(sums.size() == counts.size());
  double sum = 0;
  double count = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    sum += sums[i];
    count += static_cast<double>(counts[i]);
  }
  if (count == 0) return {};
  std::mt19937 random(kSeed);
  std::uniform_int_distribution<size_t> pick(0, sums.size() - 1);
  std::vector<double> means(static_cast<size_t>(rounds));
  for (double& mean : means) {
    double s = 0;
    double c = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      const size_t group = pick(random);
      s += sums[group];
      c += static_cast<double>(counts[group]);
    }
    mean = c > 0 ? s / c : 0;
  }
  return Percentiles(sum / count, std::move(means));
}

MeanInterval MedianRatio(const std::vector<double>& a, const std::vector<double>& b, int rounds) {
  if (a.empty() || b.empty()) return {};
  std::mt19937 random(kSeed);
  std::vector<double> sa = a;
  std::vector<double> sb = b;
  std::sort(sa.begin(), sa.end());
  std::sort(sb.begin(), sb.end());
  const double centre = MedianOfSorted(sa) / MedianOfSorted(sb);
  std::vector<double> ratios(static_cast<size_t>(rounds));
  for (double& ratio : ratios)
    ratio = MedianOfSorted(Resample(a, random)) / MedianOfSorted(Resample(b, random));
  return Percentiles(centre, std::move(ratios));
}

}  // namespace trimma
