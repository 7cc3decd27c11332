#include "measure/speed_anchor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace trimma::speed_anchor_test {
namespace {

TEST(SettledTest, OnlyATimeThatNoLongerFallsIsWarm) {
  EXPECT_FALSE(Settled({}, 1));
  EXPECT_FALSE(Settled({1.0}, 1));
  EXPECT_FALSE(Settled({1.0, 0.5}, 1)) << "it may fall further";
  EXPECT_TRUE(Settled({1.0, 0.5, 0.49}, 1));
  EXPECT_TRUE(Settled({1.0, 1.2}, 1)) << "slower is noise, not warm-up";
}

TEST(SettledTest, TwiceInARowIsAskedOfTheFirst) {
  EXPECT_FALSE(Settled({1.0, 1.0}, 2));
  EXPECT_FALSE(Settled({1.0, 1.0, 0.8}, 2)) << "a second step";
  EXPECT_TRUE(Settled({1.0, 1.0, 0.8, 0.8, 0.81}, 2));
}

TEST(AnchorTest, IsOnTheLineBetweenItsVisits) {
  const Visit before = {1.0, 10.0, 100};
  const Visit after = {2.0, 10.0, 110};
  EXPECT_DOUBLE_EQ(*AnchorAt(before, after, 105).prefill, 1.5);
  EXPECT_DOUBLE_EQ(*AnchorAt(before, after, 102.5).prefill, 1.25);
  EXPECT_DOUBLE_EQ(*AnchorAt(before, after, 105).decode, 10);
  EXPECT_FALSE(AnchorAt({1.0, {}, 0}, {1.0, {}, 1}, 0.5).decode.has_value());
  EXPECT_DOUBLE_EQ(*AnchorAt({1.0, {}, 0}, {2.0, {}, 0}, 0).prefill, 1.5);
}

// Changes between visits of a machine with this noise, and a step at the end.
int Discarded(double noise, double step, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, noise);
  DriftWatch watch(0.01);
  int discarded = 0;
  Visit before = {std::exp(normal(random)), {}, 0};
  for (int i = 0; i < 40; ++i) {
    const Visit after = {std::exp(normal(random) + (i >= 30 ? step : 0)), {}, i + 1.0};
    if (watch.Drifted(before, after)) ++discarded;
    before = after;
  }
  return discarded;
}

TEST(DriftTest, SteadyNoiseOfAnySizeIsNoDrift) {
  int discarded = 0;
  for (unsigned seed = 0; seed < 50; ++seed) {
    for (const double noise : {0.001, 0.01, 0.1}) discarded += Discarded(noise, 0, seed);
  }
  EXPECT_LE(discarded, 50 * 3 * 40 / 100) << "1 % of the segments";
}

TEST(DriftTest, AStepIsDiscardedOnce) {
  int found = 0;
  for (unsigned seed = 0; seed < 50; ++seed) found += Discarded(0.003, 0.25, seed) >= 1 ? 1 : 0;
  EXPECT_EQ(found, 50);
  EXPECT_EQ(Discarded(0.0001, 0.25, 1), 1) << "afterwards the machine is steady again";
}

TEST(DriftTest, AChangeThatNobodyFeelsIsNone) {
  EXPECT_EQ(Discarded(1e-9, 0.019, 1), 0);
  EXPECT_EQ(Discarded(1e-9, 0.021, 1), 1);
}

TEST(DriftTest, EitherPhaseCounts) {
  DriftWatch watch(0.01);
  const Visit usual = {1.0, 1.0, 0};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(watch.Judges(), i >= 5) << "of few changes no scatter is known";
    EXPECT_FALSE(watch.Drifted(usual, usual));
  }
  EXPECT_TRUE(watch.Drifted(usual, {1.0, 1.5, 0}));
}

}  // namespace
}  // namespace trimma::speed_anchor_test
