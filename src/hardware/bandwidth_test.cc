#include "hardware/bandwidth.h"

#include <gtest/gtest.h>

namespace trimma::bandwidth_test {
namespace {

void ExpectSane(const Spread& spread, int repeats) {
  EXPECT_EQ(spread.n, repeats);
  EXPECT_GT(spread.low, 0.5e9);
  EXPECT_LT(spread.high, 10e12);
  EXPECT_LE(spread.low, spread.median);
  EXPECT_LE(spread.median, spread.high);
}

TEST(BandwidthTest, OneThreadReadsAtAPossibleSpeed) {
  ExpectSane(MeasureReadBandwidth({.threads = 1, .buffer_bytes = 32U << 20, .repeats = 5}), 5);
}

TEST(BandwidthTest, TwoThreadsReadAtAPossibleSpeed) {
  ExpectSane(MeasureReadBandwidth({.threads = 2, .buffer_bytes = 32U << 20, .repeats = 5}), 5);
}

TEST(BandwidthTest, SenselessOptionsAreBroughtIntoRange) {
  EXPECT_EQ(MeasureReadBandwidth({.threads = 0, .buffer_bytes = 1, .repeats = 0}).n, 1);
}

}  // namespace
}  // namespace trimma::bandwidth_test
