#include "base/stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace trimma::stats_test {
namespace {

// 1, 2, ... n in a mixed-up order: each value is its own rank.
std::vector<double> Ranks(int n) {
  std::vector<double> ranks(static_cast<size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 1.0);
  std::shuffle(ranks.begin(), ranks.end(), std::mt19937(5));
  return ranks;
}

TEST(StatsTest, QuantilesAreInterpolated) {
  const std::vector<double> sorted = {10, 20, 30, 40};
  EXPECT_EQ(Quantile(sorted, 0), 10);
  EXPECT_EQ(Quantile(sorted, 1), 40);
  EXPECT_EQ(Quantile(sorted, 0.5), 25);
  EXPECT_DOUBLE_EQ(Quantile(sorted, 0.1), 13);
  EXPECT_EQ(Quantile({7}, 0.99), 7);
}

TEST(StatsTest, NoSamplesGiveAnEmptySpread) { EXPECT_EQ(MedianSpread({}), Spread()); }

TEST(StatsTest, TooFewSamplesForAnIntervalGiveTheirRange) {
  EXPECT_EQ(MedianSpread({3}), (Spread{3, 3, 3, 1}));
  EXPECT_EQ(MedianSpread({5, 1}), (Spread{3, 1, 5, 2}));
  EXPECT_EQ(MedianSpread(Ranks(5)), (Spread{3, 1, 5, 5}));
}

// The published order statistics of the sign test at 95 %.
TEST(StatsTest, TheIntervalOfAMedianTakesTheRightRanks) {
  EXPECT_EQ(MedianSpread(Ranks(6)), (Spread{3.5, 1, 6, 6}));
  EXPECT_EQ(MedianSpread(Ranks(8)), (Spread{4.5, 1, 8, 8}));
  EXPECT_EQ(MedianSpread(Ranks(9)), (Spread{5, 2, 8, 9}));
  EXPECT_EQ(MedianSpread(Ranks(10)), (Spread{5.5, 2, 9, 10}));
  EXPECT_EQ(MedianSpread(Ranks(12)), (Spread{6.5, 3, 10, 12}));
  EXPECT_EQ(MedianSpread(Ranks(20)), (Spread{10.5, 6, 15, 20}));
  EXPECT_EQ(MedianSpread(Ranks(100)), (Spread{50.5, 40, 61, 100}));
}

TEST(StatsTest, ThousandsOfSamplesStillEncloseTheirMedian) {
  for (const int n : {500, 1000, 1100, 5000}) {
    const Spread spread = MedianSpread(Ranks(n));
    EXPECT_LT(spread.low, spread.median) << n;
    EXPECT_GT(spread.high, spread.median) << n;
    // The normal approximation: 1.96 standard deviations of half a square root each.
    EXPECT_NEAR(spread.high - spread.low, 1.96 * std::sqrt(n), 5) << n;
  }
}

TEST(StatsTest, TheIntervalHoldsTheTrueMedianNineteenTimesOfTwenty) {
  std::mt19937 random(11);
  std::lognormal_distribution<double> skewed(0, 1);  // median 1
  for (const int n : {6, 9, 12, 25}) {
    int held = 0;
    constexpr int kTrials = 4000;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> samples(static_cast<size_t>(n));
      for (double& s : samples) s = skewed(random);
      const Spread spread = MedianSpread(samples);
      held += spread.low <= 1 && 1 <= spread.high ? 1 : 0;
    }
    EXPECT_GT(held, kTrials * 0.945) << n;
    EXPECT_LT(held, kTrials * 0.99) << n;
  }
}

TEST(TQuantileTest, AgreesWithTheTables) {
  EXPECT_NEAR(TQuantile(0.025, 1), 12.7062, 1e-3);
  EXPECT_NEAR(TQuantile(0.025, 2), 4.30265, 1e-4);
  EXPECT_NEAR(TQuantile(0.025, 10), 2.22814, 1e-4);
  EXPECT_NEAR(TQuantile(0.005, 5), 4.03214, 1e-4);
  EXPECT_NEAR(TQuantile(0.0005, 3), 12.9240, 1e-3);
  EXPECT_NEAR(TQuantile(0.025, 1 << 20), 1.95996, 1e-4);
  EXPECT_NEAR(TQuantile(0.025, 3), 3.18245, 1e-4);
  EXPECT_NEAR(TQuantile(0.0005, 20), 3.84952, 1e-3);
  EXPECT_NEAR(TQuantile(0.025, 1e6), 1.95996, 1e-4);
  EXPECT_NEAR(TQuantile(0.5, 7), 0, 1e-6);
}

TEST(TrimmedIntervalTest, OfFewValuesIsStudents) {
  const MeanInterval interval = TrimmedInterval({1, 2, 3}, 0.025);
  EXPECT_DOUBLE_EQ(interval.mean, 2);
  EXPECT_NEAR(interval.high, 2 + 4.30265 / std::sqrt(3.0), 1e-4);
  EXPECT_NEAR(interval.low, 2 - 4.30265 / std::sqrt(3.0), 1e-4);
}

TEST(TrimmedIntervalTest, OneValueSaysNothing) {
  EXPECT_TRUE(std::isinf(TrimmedInterval({1}, 0.025).high));
  EXPECT_TRUE(std::isinf(TrimmedInterval({}, 0.025).low));
}

TEST(TrimmedIntervalTest, OneDisturbanceDoesNotDecide) {
  std::vector<double> values(20, 1.0);
  for (size_t i = 0; i < values.size(); ++i) values[i] += 0.001 * static_cast<double>(i % 5);
  values[7] = 100;
  const MeanInterval interval = TrimmedInterval(values, 0.025);
  EXPECT_LT(interval.high, 1.01);
  EXPECT_GT(interval.low, 0.99);
}

// How many of 2000 intervals of so many values miss the centre, on either side.
int Missed(int n, double tail, double disturbed) {
  std::mt19937 random(11);
  std::normal_distribution<double> normal(0, 1);
  std::uniform_real_distribution<double> uniform(0, 1);
  int missed = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<double> values(static_cast<size_t>(n));
    for (double& value : values) {
      value = normal(random);
      // Both sides of a pair may be disturbed.
      if (uniform(random) < disturbed) value += 20;
      if (uniform(random) < disturbed) value -= 20;
    }
    const MeanInterval interval = TrimmedInterval(values, tail);
    if (interval.low > 0 || interval.high < 0) ++missed;
  }
  return missed;
}

TEST(TrimmedIntervalTest, HoldsTheCentreAsOftenAsPromised) {
  for (const int n : {3, 5, 10, 20, 40}) {
    for (const double disturbed : {0.0, 0.05}) {
      // Of 2000, 100 and 10 expected; chance adds three standard deviations.
      EXPECT_LE(Missed(n, 0.025, disturbed), 100 + 30) << n << " " << disturbed;
      EXPECT_LE(Missed(n, 0.0025, disturbed), 10 + 10) << n << " " << disturbed;
    }
  }
}

TEST(MedianSpreadWithinTest, NeedsEnoughSamples) {
  EXPECT_FALSE(MedianSpreadWithin({1, 2, 3, 4, 5}, 0.05).has_value());
  const auto six = MedianSpreadWithin({6, 2, 3, 4, 5, 1}, 0.05);
  ASSERT_TRUE(six.has_value());
  EXPECT_EQ(six->low, 1);
  EXPECT_EQ(six->high, 6);
  EXPECT_FALSE(MedianSpreadWithin({6, 2, 3, 4, 5, 1}, 0.01).has_value());
  EXPECT_TRUE(MedianSpreadWithin({6, 2, 3, 4, 5, 1, 7, 8}, 0.01).has_value());
}

// Skewed noise, as times have it: exact for any distribution.
TEST(MedianSpreadWithinTest, HoldsTheMedianAsOftenAsPromised) {
  std::mt19937 random(5);
  std::exponential_distribution<double> skewed(1);
  for (const int n : {8, 20, 60}) {
    int missed = 0;
    for (int i = 0; i < 2000; ++i) {
      std::vector<double> values(static_cast<size_t>(n));
      for (double& value : values) value = skewed(random);
      const auto spread = MedianSpreadWithin(values, 0.05);
      if (spread->low > std::log(2.0) || spread->high < std::log(2.0)) ++missed;
    }
    EXPECT_LE(missed, 100 + 30) << n;
  }
}

}  // namespace
}  // namespace trimma::stats_test
