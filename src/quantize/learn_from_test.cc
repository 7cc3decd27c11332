#include "quantize/learn_from.h"

#include <gtest/gtest.h>

namespace trimma::learn_from_test {
namespace {

TEST(LearnFromTest, SmallModelsReadMore) {
  EXPECT_EQ(ChunksForMoments(26'000'000), 320);
  EXPECT_EQ(ChunksForMoments(4'000'000'000), 160);
  EXPECT_EQ(ChunksForMoments(0), 320);
  const size_t between = ChunksForMoments(130'000'000);
  EXPECT_GT(between, 160);
  EXPECT_LT(between, 320);
}

TEST(LearnFromTest, ManyTrialsOfALargeModelAreMeasuredOnLess) {
  EXPECT_EQ(ChunksForSensitivity(26'000'000, 64, 512), 40);
  EXPECT_EQ(ChunksForSensitivity(4'000'000'000, 64, 512), 8);
  EXPECT_GT(ChunksForSensitivity(135'000'000, 10, 512), ChunksForSensitivity(135'000'000, 64, 512));
  EXPECT_EQ(ChunksForSensitivity(0, 0, 0), 40);
}

}  // namespace
}  // namespace trimma::learn_from_test
