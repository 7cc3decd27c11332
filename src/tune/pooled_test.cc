#include "tune/pooled.h"

#include <gtest/gtest.h>

#include <cmath>

namespace trimma::pooled_test {
namespace {

SpeedTrial TrialOf(std::vector<double> log_gains) {
  SpeedTrial trial;
  trial.log_gains = std::move(log_gains);
  trial.left = true;
  return trial;
}

Variation Named(const std::string& what) {
  Variation variation;
  variation.what = what;
  return variation;
}

TEST(PooledTest, WhoMayStillBeFasterIsUndecided) {
  // Wide: may be much faster. Narrow around nothing: decided. Slower: decided.
  const auto wide = JudgeTrial(Named("wide"), TrialOf({-0.2, 0.3, 0.05, -0.1, 0.2}));
  const auto equal = JudgeTrial(Named("equal"), TrialOf({0.0, 0.001, -0.001, 0.0005, 0.0}));
  const auto slower = JudgeTrial(Named("slower"), TrialOf({-0.2, -0.21, -0.2, -0.19, -0.2}));
  EXPECT_TRUE(IsUndecided(wide));
  EXPECT_FALSE(IsUndecided(equal));
  EXPECT_FALSE(IsUndecided(slower));
  TuneTrialResult out = wide;
  out.left = false;
  EXPECT_FALSE(IsUndecided(out));
  TuneTrialResult failed = wide;
  failed.error = Error{Code::kFailure, "it failed", ""};
  EXPECT_FALSE(IsUndecided(failed));
  const auto promising = JudgeTrial(Named("promising"), TrialOf({0.1, 0.3, 0.25, 0.2, 0.2}));
  EXPECT_EQ(UndecidedOf({slower, wide, equal, promising}), (std::vector<size_t>{3, 1}));
}

TEST(PooledTest, GainsOfBothProcessesAreJudgedTogether) {
  // In the first process it was lucky, in the second unlucky: together there is nothing in it.
  const auto lucky = JudgeTrial(Named("lucky"), TrialOf({0.05, 0.051, 0.049, 0.05, 0.05}));
  EXPECT_EQ(lucky.outcome, TrialOutcome::kFaster);
  const auto both = Pooled(lucky, TrialOf({-0.05, -0.051, -0.049, -0.05, -0.05}));
  EXPECT_EQ(both.log_gains.size(), 10U);
  EXPECT_EQ(both.outcome, TrialOutcome::kNoDifference);
  EXPECT_NEAR(both.gain.mean, 1, 1e-3);
  EXPECT_TRUE(IsUndecided(both));
  EXPECT_EQ(both.variation.what, "lucky");
  // One that fails there has failed.
  SpeedTrial failed;
  failed.error = Error{Code::kNoFit, "out of memory", ""};
  EXPECT_EQ(Pooled(lucky, failed).outcome, TrialOutcome::kFailed);
}

TEST(PooledTest, RenewTakesTheNewerOfEach) {
  std::vector<TuneTrialResult> all = {JudgeTrial(Named("a"), TrialOf({0.1, 0.1, 0.1})),
                                      JudgeTrial(Named("b"), TrialOf({0.1, 0.1, 0.1}))};
  Renew(all, {JudgeTrial(Named("b"), TrialOf({0.2, 0.2, 0.2})),
              JudgeTrial(Named("c"), TrialOf({0.3, 0.3, 0.3}))});
  all.push_back(JudgeTrial(Named("b"), TrialOf({0.4, 0.4, 0.4})));
  all[2].variation.phases = Phases::kPrefill;
  Renew(all, {JudgeTrial(Named("b"), TrialOf({0.2, 0.2, 0.2}))});
  EXPECT_NEAR(all[2].gain.mean, std::exp(0.4), 1e-9) << "of one phase, together with another";
  ASSERT_EQ(all.size(), 3U);
  EXPECT_NEAR(all[0].gain.mean, std::exp(0.1), 1e-9);
  EXPECT_NEAR(all[1].gain.mean, std::exp(0.2), 1e-9);
}

}  // namespace
}  // namespace trimma::pooled_test
