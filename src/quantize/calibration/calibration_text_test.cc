#include "quantize/calibration/calibration_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace trimma::calibration_text_test {
namespace {

// Chunk i consists of the token i; those that the model wrote come after the file's.
ObtainedText Chunks(int count, int tokens, int generated = 0) {
  ObtainedText text;
  text.record.file = "a.txt";
  text.record.file_chunks = static_cast<uint32_t>(count);
  for (int i = 0; i < count; ++i) text.file.chunks.emplace_back(tokens, i);
  for (int i = 0; i < generated; ++i) text.generated.chunks.emplace_back(tokens, 1000 + i);
  return text;
}

bool Says(const CalibrationText& text, const std::string& words) {
  return std::any_of(text.notes.begin(), text.notes.end(), [&](const std::string& note) {
    return note.find(words) != std::string::npos;
  });
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
  EXPECT_EQ(cut.moments.chunks.size(), 120);
  EXPECT_EQ(cut.held_out.chunks.size(), 20);
  EXPECT_EQ(cut.selection.chunks.size(), 20);
  EXPECT_TRUE(cut.notes.empty());
}

TEST(CalibrationTextTest, ThePartsAreSpreadOverTheText) {
  const CalibrationText cut = CutCalibration(Chunks(160, 4));
  for (const TokenText* part : {&cut.held_out, &cut.selection}) {
    for (size_t i = 0; i < part->chunks.size(); ++i)
      EXPECT_NEAR(part->chunks[i][0], 8 * static_cast<int>(i) + 6, 1.5);
  }
}

TEST(CalibrationTextTest, AShortTextIsSaidToBeShort) {
  EXPECT_TRUE(Says(CutCalibration(Chunks(10, 512)), "short: 4096 tokens to learn from, and 12288"));
  const CalibrationText two = CutCalibration(Chunks(2, 512));
  EXPECT_EQ(TokensOf(two.held_out), TokensOf(two.selection));
  EXPECT_TRUE(Says(two, "one half"));
}

TEST(CalibrationTextTest, EverySourceIsInEveryPart) {
  for (const int generated : {2, 16, 80}) {
    const CalibrationText cut = CutCalibration(Chunks(80, 512, generated));
    size_t all = 0;
    for (const TokenText* part : {&cut.moments, &cut.selection}) {
      const std::set<Token> tokens = TokensOf(*part);
      EXPECT_TRUE(*tokens.begin() < 1000 && *tokens.rbegin() >= 1000) << generated;
      EXPECT_EQ(part->description, "a.txt and text the model wrote");
      all += part->chunks.size();
    }
    EXPECT_LE(cut.selection.chunks.size(), kMostOfAPart);
    EXPECT_EQ(all + cut.held_out.chunks.size(), 80 + generated);
  }
}

TEST(CalibrationTextTest, ComesBackFromJson) {
  const CalibrationText cut = CutCalibration(Chunks(9, 32));
  const auto back = CalibrationFromJson(ToJson(cut));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->moments.chunks, cut.moments.chunks);
  EXPECT_EQ(back->held_out.chunks, cut.held_out.chunks);
  EXPECT_EQ(back->selection.chunks, cut.selection.chunks);
  EXPECT_EQ(back->selection.description, "a.txt");
  EXPECT_EQ(back->record, cut.record);
  EXPECT_EQ(back->notes, cut.notes);
  Json damaged = ToJson(cut);
  damaged.erase("selection");
  EXPECT_EQ(CalibrationFromJson(damaged).error().code, Code::kInvalid);
  EXPECT_EQ(CalibrationFromJson(Json::parse("{", nullptr, false)).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace trimma::calibration_text_test
