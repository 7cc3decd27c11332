#include "measure/prompt_repeats.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

namespace trimma::prompt_repeats_test {
namespace {

// A token for each word.
std::vector<int32_t> Words(const std::string& text) {
  static std::map<std::string, int32_t> known;
  std::vector<int32_t> tokens;
  std::istringstream in(text);
  for (std::string word; in >> word;)
    tokens.push_back(known.try_emplace(word, static_cast<int32_t>(known.size())).first->second);
  return tokens;
}

std::vector<Repeat> Find(const std::string& text) {
  return FindRepeats(SplitPassages(text), Words);
}

TEST(SplitPassagesTest, CutsAtSentencesAndLinesAndCountsLines) {
  EXPECT_EQ(SplitPassages("Be brief. Be kind!\n\n---\nUse 3.5 kg at most\n"),
            (std::vector<Passage>{{1, "Be brief."}, {1, "Be kind!"}, {4, "Use 3.5 kg at most"}}));
}

TEST(SplitPassagesTest, KnowsTheFullStopsOfOtherScripts) {
  EXPECT_EQ(SplitPassages("短く。丁寧に！"),
            (std::vector<Passage>{{1, "短く。"}, {1, "丁寧に！"}}));
}

TEST(FindRepeatsTest, ASentenceThatStandsThereTwiceIsNamedWithBothLines) {
  const auto repeats =
      Find("Answer in plain English.\nNever invent a source.\n- answer  in plain ENGLISH.\n");
  ASSERT_EQ(repeats.size(), 1);
  EXPECT_EQ(repeats[0].line, 3);
  EXPECT_EQ(repeats[0].first_line, 1);
  EXPECT_TRUE(repeats[0].exact);
  EXPECT_EQ(repeats[0].tokens, 5);  // the mark of the list goes with it
}

TEST(FindRepeatsTest, OneWordReplacedIsStillTheSameSentence) {
  const auto repeats = Find(
      "You must always answer the user's question in a short and friendly way.\n"
      "You must always answer the user's question in a brief and friendly way.\n");
  ASSERT_EQ(repeats.size(), 1);
  EXPECT_FALSE(repeats[0].exact);
  EXPECT_NEAR(repeats[0].resemblance, 8.0 / 14, 1e-12);
}

TEST(FindRepeatsTest, WhatSharesAFewWordsIsNoRepeat) {
  EXPECT_TRUE(
      Find("You must always answer in English.\nYou must always name your sources.\n").empty());
}

TEST(FindRepeatsTest, HeadingsAreNoStatements) { EXPECT_TRUE(Find("Rules:\nx\nRules:\n").empty()); }

TEST(FindRepeatsTest, AThirdTimeCountsAgainAndRefersToTheNearestInWords) {
  const auto repeats =
      Find("Do not use lists here.\nDo not use lists here.\nDo not use lists here.");
  ASSERT_EQ(repeats.size(), 2);
  EXPECT_EQ(repeats[0].line, 2);
  EXPECT_EQ(repeats[1].line, 3);
  EXPECT_EQ(repeats[1].first_line, 1);
}

}  // namespace
}  // namespace trimma::prompt_repeats_test
