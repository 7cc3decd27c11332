#include "measure/speed_background.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "hardware/temp_tree.h"

namespace trimma::speed_background_test {
namespace {

class BackgroundTest : public testing::Test {
 protected:
  void Write(const std::string& stat, const std::string& self, const std::string& pressure = "") {
    ASSERT_TRUE(MakeDirectories(tree_ / "self").ok());
    ASSERT_TRUE(MakeDirectories(tree_ / "pressure").ok());
    ASSERT_TRUE(WriteFileAtomically(tree_ / "stat", stat).ok());
    ASSERT_TRUE(WriteFileAtomically(tree_ / "self/stat", self).ok());
    if (pressure.empty()) return;
    ASSERT_TRUE(WriteFileAtomically(tree_ / "pressure/cpu", pressure).ok());
  }
  std::string Root() { return tree_ / "."; }
  TempTree tree_;
};

// Time of children that have ended is ours.
TEST_F(BackgroundTest, OthersAreWhatIsBusyAndNotOurs) {
  Write("cpu  1000 0 0 1000 0 0 0 0 0 0\ncpu0 1 2 3\n",
        "7 (a name) x) R 1 2 3 4 5 6 7 8 9 10 900 40 7 3\n",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull total=9\n");
  const auto before = ReadProcessorTimes(Root());
  ASSERT_TRUE(before.has_value());
  EXPECT_DOUBLE_EQ(before->own, 9.5);
  EXPECT_DOUBLE_EQ(before->busy, 10);
  EXPECT_DOUBLE_EQ(before->all, 20);
  EXPECT_DOUBLE_EQ(*before->stalled, 2.5);
  // 400 ticks later: 300 busy, of which 200 ours; 20 of the other 100 stolen.
  Write("cpu  1280 0 0 1100 0 0 0 20 0 0\n", "7 (n) R 1 2 3 4 5 6 7 8 9 10 1050 90 7 3\n");
  const auto after = ReadProcessorTimes(Root());
  ASSERT_TRUE(after.has_value());
  EXPECT_DOUBLE_EQ(OthersShare(*before, *after), 0.25);
  EXPECT_DOUBLE_EQ(after->stolen - before->stolen, 0.2);
  EXPECT_EQ(OthersShare(*before, *before), 0);
}

TEST_F(BackgroundTest, OnlyTheProcessorsWeMayRunOnCount) {
  const std::string self = "7 (n) R 1 2 3 4 5 6 7 8 9 10 100 0 0 0\n";
  const std::string stat =
      "cpu  1000 0 0 3000 0 0 0 0 0 0\ncpu0 100 0 0 900 0 0 0 0\ncpu1 0 0 0 1000 0 0 0 0\n"
      "cpu2 900 0 0 100 0 0 0 0\ncpu10 0 0 0 1000 0 0 0 0\nintr 5\n";
  Write(stat, self);
  ASSERT_TRUE(WriteFileAtomically(tree_ / "self/status", "Cpus_allowed_list:\t0-1\n").ok());
  const auto ours = ReadProcessorTimes(Root());
  ASSERT_TRUE(ours.has_value());
  EXPECT_DOUBLE_EQ(ours->all, 20);
  EXPECT_DOUBLE_EQ(ours->busy, 1);
  // A list that names none of what is there says nothing.
  ASSERT_TRUE(WriteFileAtomically(tree_ / "self/status", "Cpus_allowed_list:\t64\n").ok());
  EXPECT_DOUBLE_EQ(ReadProcessorTimes(Root())->all, 40);
}

TEST_F(BackgroundTest, WhatCannotBeReadIsAbsent) {
  EXPECT_FALSE(ReadProcessorTimes(tree_ / "none").has_value());
  Write("intr 5\n", "7 (n) R 1 2 3 4 5 6 7 8 9 10 1050 100\n");
  EXPECT_FALSE(ReadProcessorTimes(Root()).has_value());
  Write("cpu  1 2 3\n", "7 (n) R 1 2 3 4 5 6 7 8 9 10 1050 100\n");
  EXPECT_FALSE(ReadProcessorTimes(Root()).has_value());
  Write("cpu  1 2 3 4 5 6 7 8\ncpu0 1 2\n", "7 (n) R 1 2 3 4 5 6 7 8 9 10 1050 100\n");
  ASSERT_TRUE(WriteFileAtomically(tree_ / "self/status", "Cpus_allowed_list:\t0\n").ok());
  EXPECT_FALSE(ReadProcessorTimes(Root()).has_value());
  Write("cpu  1000 0 0 1000 0 0 0 0 0 0\n", "no name");
  EXPECT_FALSE(ReadProcessorTimes(Root()).has_value());
}

TEST(BackgroundHereTest, ThisMachineHasProcessors) {
  const auto times = ReadProcessorTimes();
  if (!times) GTEST_SKIP() << "no /proc/stat here";
  EXPECT_GT(times->all, times->busy);
  EXPECT_GT(times->busy, 0);
}

}  // namespace
}  // namespace trimma::speed_background_test
