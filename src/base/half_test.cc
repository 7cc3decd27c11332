#include "base/half.h"

#include <gtest/gtest.h>

#include <limits>

namespace trimma::half_test {
namespace {

TEST(HalfTest, EveryHalfComesBack) {
  for (uint32_t half = 0; half < 65536; ++half) {
    const float value = HalfToFloat(static_cast<uint16_t>(half));
    if (std::isnan(value)) {
      EXPECT_GT(half & 0x7FFFU, 0x7C00U);
      EXPECT_TRUE(std::isnan(RoundToHalf(value)));
    } else {
      EXPECT_EQ(FloatToHalf(value), half);
    }
  }
}

TEST(HalfTest, KnownValues) {
  EXPECT_EQ(HalfToFloat(0x3C00), 1.0F);
  EXPECT_EQ(HalfToFloat(0xC000), -2.0F);
  EXPECT_EQ(HalfToFloat(0x7BFF), 65504.0F);
  EXPECT_EQ(HalfToFloat(0x0001), 0x1p-24F);
  EXPECT_EQ(HalfToFloat(0x0400), 0x1p-14F);
  EXPECT_EQ(HalfToFloat(0xFC00), -std::numeric_limits<float>::infinity());
}

// Between two neighbours the middle goes to the even one, all else to the nearer.
TEST(HalfTest, RoundsToTheNearestTiesToEven) {
  for (uint16_t half = 0; half < 0x7BFF; ++half) {
    const float low = HalfToFloat(half);
    const float high = HalfToFloat(half + 1);
    const float middle = (low + high) / 2;
    EXPECT_EQ(FloatToHalf(middle), half % 2 == 0 ? half : half + 1) << low;
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, 0.0F)), half) << low;
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, 1e9F)), half + 1) << low;
  }
}

TEST(HalfTest, BeyondTheRange) {
  EXPECT_EQ(FloatToHalf(65519.0F), 0x7BFF);
  EXPECT_EQ(FloatToHalf(65520.0F), 0x7C00);
  EXPECT_EQ(FloatToHalf(-1e30F), 0xFC00);
  EXPECT_EQ(FloatToHalf(0x1p-25F), 0);
  EXPECT_EQ(FloatToHalf(-1e-30F), 0x8000);
}

}  // namespace
}  // namespace trimma::half_test
