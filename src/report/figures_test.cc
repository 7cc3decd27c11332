#include "report/figures.h"

#include <gtest/gtest.h>

#include <limits>

namespace trimma::figures_test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(FiguresTest, AbsentFiguresAreNeverZero) {
  EXPECT_EQ(Amount(0, Unit::kTokensPerSecond), kNotMeasured);
  EXPECT_EQ(Amount(kNan, Unit::kMilliseconds), kNotMeasured);
  EXPECT_EQ(Amount(kInfinity, Unit::kMilliseconds), kNotMeasured);
  EXPECT_EQ(Bytes(0), kNotMeasured);
  EXPECT_EQ(Divergence(kNan), kNotMeasured);
  EXPECT_EQ(Share(kInfinity), kNotMeasured);
  EXPECT_EQ(Interval({}, Unit::kMilliseconds), "");
}

TEST(FiguresTest, ThreeSignificantDigits) {
  EXPECT_EQ(Number(1234.4), "1 234");
  EXPECT_EQ(Number(410.4), "410");
  EXPECT_EQ(Number(56.31), "56.3");
  EXPECT_EQ(Number(5.214), "5.21");
  EXPECT_EQ(Number(0.01234), "0.0123");
}

TEST(FiguresTest, IntervalsKeepTheUnitOfTheirCentre) {
  const Spread spread = {1010, 990, 1030, 9};
  EXPECT_EQ(Amount(spread.median, Unit::kMilliseconds), "1.01 s");
  EXPECT_EQ(Interval(spread, Unit::kMilliseconds), "0.99 to 1.03");
}

TEST(FiguresTest, DivergencesOfAllSizes) {
  EXPECT_EQ(Divergence(0), "0");
  EXPECT_EQ(Divergence(0.0014), "0.00140");
  EXPECT_EQ(Divergence(1.5), "1.50");
  EXPECT_EQ(Divergence(123.4), "123");
  EXPECT_EQ(Divergence(0.000031), "3.1e-05");
  EXPECT_EQ(Divergence(-0.000031), "-3.1e-05");
}

}  // namespace
}  // namespace trimma::figures_test
