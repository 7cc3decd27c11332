#include "quantize/calibration/calibration_text.h"

#include <gtest/gtest.h>

#include <set>

namespace trimma {
namespace {

// Chunk i consists of the token i.
TokenText Chunks(int count, int tokens) {
  TokenText text;
  text.description = "a.txt";
  for (int i = 0; i < count; ++i) text.chunks.emplace_back(tokens, i);
  return text;
}

std::set<Token> TokensOf(const TokenText& text) {
  std::set<Token> tokens;
  for (const auto& chunk : text.chunks) tokens.insert(chunk.begin(), chunk.end());
  return tokens;
}

TEST(CalibrationTextTest, ThePartsShareNothingAndAreAll) {
  for (const int count : {3, 4, 8, 20, 160}) {
    const CalibrationText cut = CutCalibration(Chunks(count, 512));
    std::set<Token> all = TokensOf(cut.moments);
    const size_t learned = all.size();
    for (const Token t : TokensOf(cut.held_out)) EXPECT_TRUE(all.insert(t).second);
    for (const Token t : TokensOf(cut.selection)) EXPECT_TRUE(all.insert(t).second);
    EXPECT_EQ(all.size(), count);
    EXPECT_GE(learned, 1);
  }
}

TEST(CalibrationTextTest, ALongTextIsMostlyForLearning) {
  const CalibrationText cut = CutCalibration(Chunks(160, 512));
  EXPECT_EQ(cut.moments.chunks.size(), 128);
  EXPECT_EQ(cut.held_out.chunks.size(), 16);
  EXPECT_EQ(cut.selection.chunks.size(), 16);
  EXPECT_EQ(cut.note, "");
}

TEST(CalibrationTextTest, ThePartsAreSpreadOverTheText) {
  const CalibrationText cut = CutCalibration(Chunks(160, 4));
  for (const TokenText* part : {&cut.held_out, &cut.selection}) {
    for (size_t i = 0; i < part->chunks.size(); ++i)
      EXPECT_NEAR(part->chunks[i][0], 10 * static_cast<int>(i) + 8, 1.5);
  }
}

TEST(CalibrationTextTest, AShortTextIsSaidToBeShort) {
  EXPECT_NE(CutCalibration(Chunks(10, 512)).note.find("short"), std::string::npos);
  const CalibrationText two = CutCalibration(Chunks(2, 512));
  EXPECT_EQ(TokensOf(two.held_out), TokensOf(two.selection));
  EXPECT_NE(two.note.find("one half"), std::string::npos);
}

TEST(CalibrationTextTest, ComesBackFromJson) {
  const CalibrationText cut = CutCalibration(Chunks(9, 32));
  const auto back = CalibrationFromJson(ToJson(cut));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->moments.chunks, cut.moments.chunks);
  EXPECT_EQ(back->held_out.chunks, cut.held_out.chunks);
  EXPECT_EQ(back->selection.chunks, cut.selection.chunks);
  EXPECT_EQ(back->selection.description, "a.txt");
  Json damaged = ToJson(cut);
  damaged.erase("selection");
  EXPECT_EQ(CalibrationFromJson(damaged).error().code, Code::kInvalid);
  EXPECT_EQ(CalibrationFromJson(Json::parse("{", nullptr, false)).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace trimma
