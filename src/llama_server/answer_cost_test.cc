#include "llama_server/answer_cost.h"

#include <gtest/gtest.h>

namespace trimma::answer_cost_test {
namespace {

// Ten bytes of prompt and ten tokens of answer: 1 + 5 seconds.
constexpr AnswerCosts kCosts = {4, 10, 2};
const std::vector<std::string> kPrompts(3, "0123456789");

TEST(AnswerCostTest, FewerPromptsWhereAllTakeTooLong) {
  EXPECT_DOUBLE_EQ(AnswerSeconds(kCosts, kPrompts[0], 10), 6);
  EXPECT_EQ(PromptsThatFit(kCosts, {kPrompts, 10, 10, 220}), 3U);
  EXPECT_EQ(PromptsThatFit(kCosts, {kPrompts, 10, 10, 219}), 2U);
  EXPECT_EQ(PromptsThatFit(kCosts, {kPrompts, 10, 10, 99}), 0U) << "a start with one takes 10";
  EXPECT_EQ(PromptsThatFit({}, {kPrompts, 10, 10, 1}), 3U) << "nothing is known";
}

TEST(AnswerCostTest, ASlowModelIsWaitedFor) {
  EXPECT_DOUBLE_EQ(MostAnswerSeconds(kCosts, kPrompts, 10), 60) << "never less than a minute";
  EXPECT_DOUBLE_EQ(MostAnswerSeconds(kCosts, kPrompts, 198), 500) << "five times 1 + 99";
  EXPECT_DOUBLE_EQ(MostAnswerSeconds({}, kPrompts, 10), 600);
}

TEST(AnswerCostTest, FewerAnswersMakeAStartThatFits) {
  const auto within = [](double most) {
    return [most](double seconds) { return seconds <= most; };
  };
  const std::vector<double> answers = {1, 2, 3};
  EXPECT_EQ(AnswersThatFit(8, answers, within(8)), 3U);
  EXPECT_EQ(AnswersThatFit(8, answers, within(5)), 2U);
  EXPECT_EQ(AnswersThatFit(8, answers, within(4.9)), 1U);
  EXPECT_EQ(AnswersThatFit(8, answers, within(2.9)), 3U) << "nothing is won by asking less";
}

}  // namespace
}  // namespace trimma::answer_cost_test
