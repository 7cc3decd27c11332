#include "measure/answers.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "hardware/temp_tree.h"
#include "measure/compare.h"
#include "support/tiny_model.h"

namespace trimma::answers_test {
namespace {

const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

ModelAnswer Said(std::vector<int32_t> tokens, std::string text, bool ended = true) {
  ModelAnswer answer;
  answer.tokens = std::move(tokens);
  answer.text = std::move(text);
  answer.ended = ended;
  return answer;
}

TEST(PartingTest, AtTheFirstTokenThatDiffers) {
  const Parting parting =
      PartingOf(Said({1, 2, 3}, "one two three"), Said({1, 2, 4}, "one two two"),
                /*same_vocabulary=*/true);
  EXPECT_FALSE(parting.same);
  EXPECT_EQ(parting.token, 2);
  EXPECT_EQ(parting.byte, 9U);
}

TEST(PartingTest, TheSameAnswerHasNone) {
  const ModelAnswer answer = Said({1, 2}, "one two");
  EXPECT_TRUE(PartingOf(answer, answer, true).same);
  EXPECT_FALSE(PartingOf(answer, answer, true).token);
  EXPECT_TRUE(PartingOf(answer, answer, false).same);
}

TEST(PartingTest, OneThatEndsEarlierPartsThere) {
  const Parting parting = PartingOf(Said({1, 2, 3}, "abc", false), Said({1, 2}, "ab"), true);
  EXPECT_FALSE(parting.same);
  EXPECT_EQ(parting.token, 2);
  EXPECT_EQ(parting.byte, 2U);
  EXPECT_FALSE(PartingOf(Said({1}, "a", false), Said({1}, "a", true), true).same);
}

TEST(PartingTest, NoCharacterIsCutInTwo) {
  // ä is C3 A4, ö is C3 B6.
  EXPECT_EQ(PartingOf(Said({1}, "xä"), Said({2}, "xö"), false).byte, 1U);
  EXPECT_EQ(PartingOf(Said({1}, "ä"), Said({2}, "ö"), false).byte, 0U);
  EXPECT_FALSE(PartingOf(Said({1}, "ä"), Said({2}, "ö"), false).token);
}

class AnswersTest : public testing::Test {
 protected:
  AnswersTest() { WriteTinyModel(tree_ / "tiny.gguf"); }
  Judged Tiny() { return {tree_ / "tiny.gguf", {}}; }
  TempTree tree_;
};

TEST_F(AnswersTest, TheSameModelSaysTheSameAgain) {
  const auto once = AnswerPrompts(Tiny(), {"hello", "world and more"}, 10);
  const auto again = AnswerPrompts(Tiny(), {"world and more"}, 10);
  ASSERT_TRUE(once.ok()) << once.error().what;
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(once->size(), 2U);
  EXPECT_EQ(once->at(1).tokens, again->at(0).tokens) << "one prompt doesn't see the other";
  EXPECT_FALSE(once->at(0).templated);
  EXPECT_LE(once->at(0).tokens.size(), 10U);
  EXPECT_EQ(once->at(0).ended, once->at(0).tokens.size() < 10);
}

TEST_F(AnswersTest, APromptLongerThanTheContextIsAUsageError) {
  const auto answers = AnswerPrompts(Tiny(), {std::string(2000, 'x')}, 10);
  ASSERT_FALSE(answers.ok());
  EXPECT_EQ(answers.error().code, Code::kUsage);
}

TEST(VocabularyGroupsTest, SameTokensStandTogether) {
  const TempTree tree;
  TinyModelOptions larger;
  larger.vocab = 310;
  const auto read = [](const std::string& path) { return *ReadGguf(path); };
  const GgufFile a = read(WriteTinyModel(tree / "a.gguf"));
  const GgufFile b = read(WriteTinyModel(tree / "b.gguf", larger));
  const GgufFile c = read(WriteTinyModel(tree / "c.gguf"));
  EXPECT_EQ(VocabularyGroups({&a, &b, &c}), (std::vector<std::vector<size_t>>{{0, 2}, {1}}));
}

TEST(SideBySideTest, WhoGaveNoAnswersIsLeftOut) {
  const std::vector<ModelAnswer> first = {Said({1}, "a"), Said({2}, "b")};
  const std::vector<ModelAnswer> third = {Said({1}, "a"), Said({3}, "c")};
  const auto prompts = SideBySide({"p", "q"}, {first, std::nullopt, third}, {{0, 1, 2}});
  ASSERT_EQ(prompts.size(), 2U);
  ASSERT_EQ(prompts[0].answers.size(), 2U);
  EXPECT_EQ(prompts[0].answers[1].model, 2U);
  EXPECT_TRUE(prompts[0].answers[1].parting->same);
  EXPECT_EQ(prompts[1].answers[1].parting->token, 0);
}

}  // namespace
}  // namespace trimma::answers_test
