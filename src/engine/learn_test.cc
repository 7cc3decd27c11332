#include "engine/learn.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace trimma::learn_test {
namespace {

OverheadSample Sample(uint32_t context, uint32_t ubatch, uint64_t overhead_mib) {
  return {0, context, ubatch, 10240, false, 300 * kMiB, 3000 * kMiB, (3000 + overhead_mib) * kMiB};
}

TEST(FitOverheadTest, WhatEveryLoadTakesIsFixed) {
  const Overhead fit = FitOverhead({Sample(2048, 512, 500), Sample(16384, 512, 500)});
  EXPECT_EQ(fit.fixed_bytes, 500 * kMiB);
  EXPECT_EQ(fit.pool_bytes_per_activation, 0);
  EXPECT_EQ(fit.margin_bytes, kLearnedMargin);
  EXPECT_TRUE(fit.learned);
}

TEST(FitOverheadTest, PoolsGrowWithTheBatch) {
  const Overhead fit = FitOverhead({Sample(2048, 512, 510), Sample(2048, 2048, 540),
                                    Sample(16384, 512, 510), Sample(16384, 2048, 540)});
  EXPECT_NEAR(fit.pool_bytes_per_activation * (2048 - 512) * 10240, 30.0 * kMiB, 1);
  EXPECT_NEAR(static_cast<double>(fit.fixed_bytes), 500.0 * kMiB, 1);
  EXPECT_NEAR(static_cast<double>(ReserveBytes(fit, {1024, 10240, false}) - fit.margin_bytes),
              520.0 * kMiB, 2);
}

TEST(FitOverheadTest, LoadsThatDisagreeWidenTheMargin) {
  const Overhead fit = FitOverhead({Sample(2048, 512, 500), Sample(16384, 512, 525)});
  EXPECT_EQ(fit.fixed_bytes, 525 * kMiB) << "the larger one counts";
  EXPECT_EQ(fit.margin_bytes, kLearnedMargin + 25 * kMiB);
}

TEST(FitOverheadTest, EveryLoadItLearnedFromWouldHaveFitted) {
  const std::vector<OverheadSample> samples = {Sample(2048, 512, 480), Sample(2048, 2048, 540),
                                               Sample(16384, 512, 510), Sample(16384, 2048, 515)};
  const Overhead fit = FitOverhead(samples);
  for (const OverheadSample& s : samples) {
    EXPECT_GE(static_cast<int64_t>(ReserveBytes(fit, {s.ubatch, s.widest_row, s.split})),
              s.overhead_bytes());
  }
}

TEST(FitOverheadTest, AnotherProcessThatLeavesMeanwhileIsNoNegativeOverhead) {
  OverheadSample sample = Sample(2048, 512, 0);
  sample.used_bytes = sample.buffer_bytes - kMiB;
  EXPECT_EQ(FitOverhead({sample}).fixed_bytes, 0U);
}

TEST(FitOverheadTest, ASplitModelTakesMore) {
  OverheadSample split = Sample(2048, 512, 540);
  split.split = true;
  const Overhead fit = FitOverhead({Sample(2048, 512, 500), Sample(16384, 512, 500), split});
  EXPECT_EQ(fit.fixed_bytes, 500 * kMiB);
  EXPECT_EQ(fit.context_bytes, 300 * kMiB);
  EXPECT_EQ(fit.split_bytes, 40 * kMiB);
  EXPECT_EQ(fit.margin_bytes, kLearnedMargin) << "not a spread of the whole loads";
  EXPECT_EQ(ReserveBytes(fit, {512, 10240, true}),
            ReserveBytes(fit, {512, 10240, false}) + 40 * kMiB);
  EXPECT_EQ(FitOverhead({split}).fixed_bytes, 540 * kMiB) << "where none is whole";
}

TEST(LearnOverheadTest, WhatAnotherProgramTakesOrGivesMeanwhileIsSeen) {
  constexpr uint64_t kFree = 4000 * kMiB;
  EXPECT_TRUE(IsAsFree({kFree}, {kFree}));
  EXPECT_TRUE(IsAsFree({kFree, kFree}, {kFree - 63 * kMiB, kFree + 63 * kMiB}));
  EXPECT_FALSE(IsAsFree({kFree, kFree}, {kFree, kFree - 64 * kMiB}));
  EXPECT_FALSE(IsAsFree({kFree}, {kFree + 64 * kMiB}));
  EXPECT_FALSE(IsAsFree({kFree}, {kFree, kFree})) << "another card is no other";
}

TEST(LearnOverheadTest, WhatIsTakenAndGivenBackMeanwhileIsSeenToo) {
  constexpr std::chrono::milliseconds kWatched(100);
  int looks = 0;
  const auto reads = [&](int taken_at) {
    looks = 0;
    return [&looks, taken_at]() -> std::vector<uint64_t> {
      return {(++looks == taken_at ? 3700 : 4000) * kMiB, 1000 * kMiB};
    };
  };
  EXPECT_TRUE(StaysAsFree(reads(0), kWatched));
  EXPECT_GE(looks, 2);
  EXPECT_FALSE(StaysAsFree(reads(1), kWatched));
  EXPECT_FALSE(StaysAsFree(reads(2), kWatched));
}

TEST(EstimatedOverheadTest, GrowsWithTheCardAndIsLargestForAnUnknownOne) {
  const Overhead small = EstimatedOverhead(30 * kMiB);
  const Overhead unknown = EstimatedOverhead(0);
  EXPECT_EQ(unknown.fixed_bytes - small.fixed_bytes, (264 - 30) * kMiB);
  EXPECT_GT(small.fixed_bytes, small.context_bytes);
  EXPECT_FALSE(small.learned);
}

TEST(OverheadTest, GoesToJsonAndBack) {
  const Overhead fit = FitOverhead({Sample(2048, 512, 500), Sample(2048, 2048, 520)});
  EXPECT_EQ(OverheadFromJson(Json::parse(ToJson(fit).dump())), fit);
}

TEST(LearnJobTest, WithoutAGpuThereIsNothingToLearn) {
  const auto samples = LearnOverhead({"/nonexistent.gguf", 64, 3, {}}, {});
  ASSERT_FALSE(samples.ok());
  EXPECT_EQ(samples.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace trimma::learn_test
