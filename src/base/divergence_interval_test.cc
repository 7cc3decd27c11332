#include "base/divergence_interval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace trimma::divergence_interval_test {
namespace {

// Chunk means as divergences have them: positive, with a tail to the right. Their mean is `mean`.
ChunkSums Chunks(size_t n, double mean, double spread, std::mt19937& random) {
  std::normal_distribution<double> normal(0, 1);
  ChunkSums chunks;
  for (size_t i = 0; i < n; ++i)
    chunks.Add(255 * mean * std::exp(spread * normal(random) - spread * spread / 2), 255);
  return chunks;
}

TEST(DivergenceIntervalTest, AMeanIsOverPositionsNotChunks) {
  ChunkSums chunks;
  chunks.Add(1, 1);
  chunks.Add(3, 3);
  chunks.Add(8, 4);
  EXPECT_DOUBLE_EQ(chunks.Mean(), 1.5);
  EXPECT_DOUBLE_EQ(PositiveMean(chunks).mean, 1.5);
  EXPECT_DOUBLE_EQ(AnyMean(chunks).mean, 1.5);
}

TEST(DivergenceIntervalTest, AnIntervalOfADivergenceIsPositive) {
  ChunkSums chunks;
  for (const double sum : {0.1, 9.0, 0.2}) chunks.Add(sum, 1);
  const MeanInterval mean = PositiveMean(chunks);
  EXPECT_GT(mean.low, 0);
  EXPECT_GT(mean.high, mean.mean);
  EXPECT_LT(AnyMean(chunks).low, 0);
}

TEST(DivergenceIntervalTest, OneChunkBoundsNothing) {
  ChunkSums chunks;
  chunks.Add(1, 2);
  EXPECT_EQ(PositiveMean(chunks).low, 0);
  EXPECT_TRUE(std::isinf(PositiveMean(chunks).high));
  EXPECT_TRUE(std::isinf(AnyMean(chunks).low));
  EXPECT_TRUE(std::isinf(PairedRatio(chunks, chunks).high));
}

TEST(DivergenceIntervalTest, NoDivergenceIsKnownExactly) {
  ChunkSums chunks;
  for (int i = 0; i < 5; ++i) chunks.Add(0, 31);
  EXPECT_EQ(PositiveMean(chunks).high, 0);
  EXPECT_EQ(RelativePrecision(PositiveMean(chunks)), 0);
}

// Of 1000 trials at 95 % each, fewer than 933 happen by chance 1 time in 200; a little less is held
// with few chunks, for the tail to the right is seldom in them.
TEST(DivergenceIntervalTest, NineteenOfTwentyIntervalsHoldTheMean) {
  for (const size_t n : {6U, 16U, 60U}) {
    std::mt19937 random(static_cast<uint32_t>(n));
    int held = 0;
    for (int trial = 0; trial < 1000; ++trial) {
      const MeanInterval mean = PositiveMean(Chunks(n, 0.05, 0.3, random));
      held += mean.low <= 0.05 && 0.05 <= mean.high ? 1 : 0;
    }
    EXPECT_GE(held, 925) << n;
    EXPECT_LE(held, 975) << n;
  }
}

TEST(DivergenceIntervalTest, WhatBothHaveInCommonDoesNotBlurARatio) {
  std::mt19937 random(3);
  const ChunkSums common = Chunks(40, 0.05, 0.5, random);
  ChunkSums a;
  ChunkSums b;
  std::normal_distribution<double> normal(0, 0.02);
  for (size_t i = 0; i < common.size(); ++i) {
    a.Add(common.sums[i] * 0.95 * std::exp(normal(random)), 255);
    b.Add(common.sums[i] * std::exp(normal(random)), 255);
  }
  const MeanInterval ratio = PairedRatio(a, b);
  EXPECT_NEAR(ratio.mean, 0.95, 0.02);
  EXPECT_LT(ratio.high, 1) << "5 % apart, each known within 15 % only";
  EXPECT_GT(RelativePrecision(PositiveMean(a)), 0.1);
  const MeanInterval inverse = PairedRatio(b, a);
  EXPECT_NEAR(inverse.low, 1 / ratio.high, 1e-12);
  EXPECT_DOUBLE_EQ(PairedRatio(a, a).high, 1);
}

TEST(DivergenceIntervalTest, AHigherLevelIsWider) {
  std::mt19937 random(4);
  const ChunkSums chunks = Chunks(20, 1, 0.5, random);
  EXPECT_GT(PositiveMean(chunks, 0.999).high, PositiveMean(chunks, 0.95).high);
  EXPECT_NEAR(RelativePrecision({1, 0.9, 1 / 0.9}), std::log(1 / 0.9), 1e-12);
}

}  // namespace
}  // namespace trimma::divergence_interval_test
