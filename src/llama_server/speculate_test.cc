#include "llama_server/speculate.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/fake_llama_server.h"

namespace trimma::speculate_test {
namespace {

class FakeSpeculationTest : public testing::Test {
 protected:
  Result<SpeculationResult> Tune(const std::string& mode, double seconds) {
    SpeculationWish wish;
    wish.subject.path = "m.gguf";
    wish.prompts = prompts_;
    wish.most_tokens = 16;
    wish.budget_seconds = seconds;
    wish.most_rounds = 2;
    wish.most_turns = 3;
    wish.plain = plain_;
    return TuneSpeculation(FakeLlamaServer(tree_ / "llama-server", mode), wish, {});
  }
  AnswerCosts plain_;
  std::vector<std::string> prompts_ = {"Why is the sky blue?", "Count."};
  const TempTree tree_;
};

TEST_F(FakeSpeculationTest, AGainIsConfirmedOnTheText) {
  const auto result = Tune("works", 60);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result->prompts, 2);
  ASSERT_EQ(result->trials.size(), 2U) << "both sizes of the one type it knows";
  ASSERT_TRUE(GainOf(result->trials[0]));
  EXPECT_GT(GainOf(result->trials[0])->mean, 1.2);
  EXPECT_EQ(result->trials[0].drafted, 20);
  EXPECT_EQ(result->trials[0].accepted, 14);
  EXPECT_EQ(result->trials[0].same_answers, 2);
  EXPECT_TRUE(result->plain_repeats);
  ASSERT_TRUE(result->best) << result->verdict;
  EXPECT_GT(result->gain.low, 1);
  EXPECT_EQ(result->same_answers, 2);
  EXPECT_GE(result->pairs, 3);
}

TEST_F(FakeSpeculationTest, OtherAnswersAreSaid) {
  const auto result = Tune("other-words", 60);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result->trials[0].same_answers, 0);
  ASSERT_TRUE(result->best) << result->verdict;
  EXPECT_NE(result->verdict.find("2 of 2 answers differ"), std::string::npos) << result->verdict;
}

TEST_F(FakeSpeculationTest, WithoutTimeNothingIsClaimed) {
  const auto result = Tune("works", 0.01);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_FALSE(result->best);
  EXPECT_TRUE(result->trials.empty());
  EXPECT_EQ(result->not_tried.size(), 3U) << "the draft that wasn't named, and two by n-grams";
  EXPECT_NE(result->verdict.find("no time for a dozen"), std::string::npos) << result->verdict;
  EXPECT_TRUE(result->too_short);
}

TEST_F(FakeSpeculationTest, PromptsAreDroppedWhereStartsTakeLongerThanTheTimeHolds) {
  // Answers of 20 ms each, in ten starts or more.
  prompts_.assign(60, "Count.");
  const auto result = Tune("works", 6);
  ASSERT_TRUE(result.ok()) << result.error().what;
  if (result->too_short) GTEST_SKIP() << "a start alone takes too long here: " << result->verdict;
  EXPECT_LT(result->prompts, 60);
  ASSERT_FALSE(result->trials.empty());
  EXPECT_EQ(result->trials[0].same_answers, result->prompts);
  EXPECT_TRUE(result->plain_repeats);
  ASSERT_EQ(result->notes.size(), 1U);
  EXPECT_NE(result->notes[0].find("of 60 prompts"), std::string::npos) << result->notes[0];
}

TEST_F(FakeSpeculationTest, WhatCannotFitIsNotEvenStarted) {
  plain_ = {100, 10, 10};
  const auto result = Tune("dies", 60);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_NE(result->verdict.find("no time for 10 of them"), std::string::npos) << result->verdict;
  EXPECT_FALSE(result->best);
}

TEST_F(FakeSpeculationTest, FewerPromptsAreAskedWhereTimeIsShort) {
  // 20 bytes, then 6, with 16 tokens each: 2 + 1.6 seconds, then 0.6 + 1.6; ten times.
  plain_ = {0.1, 10, 10};
  const auto result = Tune("works", 40);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result->prompts, 1);
  ASSERT_EQ(result->notes.size(), 1U);
  EXPECT_NE(result->notes[0].find("1 of 2 prompts"), std::string::npos) << result->notes[0];
}

TEST_F(FakeSpeculationTest, AServerThatDiesIsAVerdict) {
  const auto result = Tune("dies", 60);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_FALSE(result->best);
  EXPECT_FALSE(result->too_short) << "more time wouldn't help";
  EXPECT_NE(result->verdict.find("broken off, none is chosen"), std::string::npos)
      << result->verdict;
  EXPECT_NE(result->verdict.find("failed to load model"), std::string::npos) << result->verdict;
}

}  // namespace
}  // namespace trimma::speculate_test
