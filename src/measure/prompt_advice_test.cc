#include "measure/prompt_advice.h"

#include <gtest/gtest.h>

namespace trimma::prompt_advice_test {
namespace {

// 90 tokens of prompt, 10 of a question: 100 ms cold, 20 ms warm; 5 ms for each token answered.
PromptReport Measured() {
  PromptReport report;
  report.prompt.tokens = 90;
  report.prompt.question_tokens = 10;
  report.prompt.cold_ms = {100, 90, 110, 9};
  report.prompt.warm_ms = {20, 18, 25, 9};
  report.decode_ms = {5, 4, 6, 64};
  report.load_ms = {3100, 3000, 3200, 2};
  report.prompt.kv_bytes = 3 << 20;
  return report;
}

TEST(ConversationTest, WithoutACacheEveryTurnReadsEverythingAgain) {
  const PromptReport report = Measured();
  const ConversationCost cost = CostUncached(report, report.prompt, {3, 40});
  EXPECT_EQ(cost.prefill_tokens, 100 + (100 + 50) + (100 + 100));
  EXPECT_NEAR(cost.seconds, (450 * 1.0 + 120 * 5) / 1000.0, 1e-12);
  EXPECT_NEAR(cost.low, (450 * 0.9 + 120 * 4) / 1000.0, 1e-12);
  EXPECT_NEAR(cost.high, (450 * 1.1 + 120 * 6) / 1000.0, 1e-12);
}

TEST(ConversationTest, WithACacheEveryTurnReadsItsQuestion) {
  const PromptReport report = Measured();
  const ConversationCost cost = CostCached(report, report.prompt, {3, 40});
  EXPECT_EQ(cost.prefill_tokens, 30);
  EXPECT_NEAR(cost.seconds, (3 * 20 + 120 * 5) / 1000.0, 1e-12);
}

TEST(AdviceTest, NamesWhatIsSavedAndWhatAPauseCosts) {
  const auto advice = AdviceFor(Measured());
  ASSERT_EQ(advice.size(), 3);
  EXPECT_NE(advice[0].find("saves 80 ms of 100 ms"), std::string::npos) << advice[0];
  EXPECT_NE(advice[1].find("Loading takes 3.1 s"), std::string::npos) << advice[1];
  EXPECT_NE(advice[1].find("after 3.2 s instead of 20 ms"), std::string::npos) << advice[1];
  EXPECT_NE(advice[2].find("3.00 MiB"), std::string::npos) << advice[2];
}

TEST(AdviceTest, WhereIntervalsOverlapNothingIsClaimed) {
  PromptReport report = Measured();
  report.prompt.warm_ms = {95, 85, 105, 9};
  EXPECT_NE(AdviceFor(report)[0].find("gained nothing that could be measured"), std::string::npos);
}

}  // namespace
}  // namespace trimma::prompt_advice_test
