#include "report/verdict.h"

#include <gtest/gtest.h>

#include <limits>

#include "report/test_record.h"

namespace trimma::verdict_test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(VerdictTest, OverlappingIntervalsAreNoDifference) {
  EXPECT_EQ(Compare({10, 9, 11, 8}, {12, 11, 13, 8}, Better::kHigher), Change::kNoDifference);
  EXPECT_EQ(Compare({10, 9, 11, 8}, {10, 9.5, 10.5, 8}, Better::kHigher), Change::kNoDifference);
  EXPECT_EQ(Compare({10, 9, 11, 8}, {12, 11.1, 13, 8}, Better::kHigher), Change::kFaster);
  EXPECT_EQ(Compare({10, 9, 11, 8}, {8, 7, 8.9, 8}, Better::kHigher), Change::kSlower);
}

TEST(VerdictTest, LessTimeIsFaster) {
  EXPECT_EQ(Compare({346, 338, 355, 8}, {291, 285, 299, 8}, Better::kLower), Change::kFaster);
  EXPECT_EQ(Compare({291, 285, 299, 8}, {346, 338, 355, 8}, Better::kLower), Change::kSlower);
}

TEST(VerdictTest, ComparesNothingThatWasNotMeasured) {
  EXPECT_FALSE(Compare({}, {12, 11, 13, 8}, Better::kHigher));
  EXPECT_FALSE(Compare({12, 11, 13, 8}, {kNan, 11, 13, 8}, Better::kHigher));
  EXPECT_FALSE(Compare({12, 11, 13, 8}, {12, kNan, 13, 8}, Better::kHigher));
  EXPECT_EQ(ChangeText({}, {12, 11, 13, 8}, Better::kHigher), "not measured");
}

TEST(VerdictTest, WritesChangesInPercent) {
  EXPECT_EQ(PercentChange(250, 410), "+64 %");
  EXPECT_EQ(PercentChange(100, 99.6), "-0.4 %");
  EXPECT_EQ(PercentChange(100, 100.01), "unchanged");
  EXPECT_EQ(PercentChange(10, 120), "12x");
  EXPECT_EQ(PercentChange(0, 120), "");
  EXPECT_EQ(PercentChange(kNan, 120), "");
}

TEST(VerdictTest, SaysSizeSpeedAndQualityInOneSentence) {
  EXPECT_EQ(VerdictOn(FullRecord()),
            "The file is 63 % smaller (18.4 MiB instead of 50.3 MiB), it generates text 64 % "
            "faster (410 instead of 250 tokens per second), and its first choice for the next "
            "token is the original's in 93.1 % of positions (mean KL divergence 0.0169).");
}

TEST(VerdictTest, PromisesNothingWithoutMeasurements) {
  EXPECT_EQ(VerdictOn(OptimizeRecord{}).find('0'), std::string::npos);
  OptimizeRecord kept = FullRecord();
  kept.after = kept.before;
  EXPECT_EQ(VerdictOn(kept),
            "The file is the same size (50.3 MiB), it generates text no faster and no slower as "
            "far as could be measured (250 tok/s), and its weights are untouched, so its answers "
            "are the same.");
}

TEST(VerdictTest, FallsBackToTheArgumentForATitle) {
  OptimizeRecord record = FullRecord();
  record.model_name = "  ";
  EXPECT_EQ(TitleOf(record), "tiny.gguf");
  EXPECT_EQ(TitleOf(OptimizeRecord{}), "unnamed model");
}

}  // namespace
}  // namespace trimma::verdict_test
