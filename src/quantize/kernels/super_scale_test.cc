#include "quantize/kernels/super_scale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/half.h"

namespace trimma::super_scale_test {
namespace {

constexpr float kAlike[] = {1, 1, 1, 1};

TEST(SuperScaleTest, FindsWhatTheValuesAreMultiplesOf) {
  const float values[] = {0.5F * 60, 0.5F * 7, 0.5F * 31, 0};
  EXPECT_EQ(ChooseSuperScale({values, kAlike, 4, 0, 63, 1}), 0.5F);
}

TEST(SuperScaleTest, SignsMayBeEitherWay) {
  const float values[] = {0.25F * 30, 0.25F * -31, 0.25F * 5, 0.25F * -2};
  EXPECT_EQ(std::fabs(ChooseSuperScale({values, kAlike, 4, -32, 31, 1})), 0.25F);
}

TEST(SuperScaleTest, HeavyValuesComeFirst) {
  const float values[] = {63, 10.4F, 20.8F, 31.2F};
  const float weights[] = {1e-3F, 1, 1, 1};
  const float scale = ChooseSuperScale({values, weights, 4, 0, 63, 1});
  for (int i = 1; i < 4; ++i)
    EXPECT_NEAR(std::nearbyint(values[i] / scale) * scale, values[i], 0.02F) << scale;
}

TEST(SuperScaleTest, NothingHasTheScaleZero) {
  const float values[] = {0, 0, 0, 1e-30F};
  EXPECT_EQ(ChooseSuperScale({values, kAlike, 4, 0, 63, 1}), 0);
}

TEST(SuperScaleTest, UnitsCarryTheScaleIntoTheRangeOfHalves) {
  const float values[] = {60, 7, 31, 0};
  const float unit = 0x1p-10F;
  const float scale = ChooseSuperScale({values, kAlike, 4, 0, 63, unit});
  EXPECT_EQ(scale * unit, RoundToHalf(scale * unit));
  EXPECT_NEAR(scale, 1, 1e-3F);
}

TEST(HalfScaleTest, EndsAtTheLargestHalf) {
  EXPECT_EQ(HalfScale(3, 0x1p100F) * 0x1p100F, 65504.0F);
  EXPECT_EQ(HalfScale(-3, 0x1p100F) * 0x1p100F, -65504.0F);
  EXPECT_EQ(HalfScale(1, 0x1p-40F), 0);
}

}  // namespace
}  // namespace trimma::super_scale_test
