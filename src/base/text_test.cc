#include "base/text.h"

#include <gtest/gtest.h>

#include <random>

namespace trimma::text_test {
namespace {

TEST(TextTest, TrimTakesBlanksFromBothEnds) {
  EXPECT_EQ(Trim("  a b\t\r\n\f\v"), "a b");
  EXPECT_EQ(Trim("a"), "a");
  EXPECT_EQ(Trim(" \n "), "");
  EXPECT_EQ(Trim(""), "");
}

TEST(TextTest, ToLowerChangesLettersOfAsciiAlone) { EXPECT_EQ(ToLower("Q4_K_M Ä"), "q4_k_m Ä"); }

TEST(TextTest, SplitKeepsEmptyParts) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(Split("a,b", ','), (Parts{"a", "b"}));
  EXPECT_EQ(Split(",a,,", ','), (Parts{"", "a", "", ""}));
  EXPECT_EQ(Split("", ','), Parts{""});
}

TEST(TextTest, NearestForgivesATypo) {
  const std::vector<std::string> types = {"Q4_K_M", "Q8_0", "IQ4_XS", "F16"};
  EXPECT_EQ(Nearest("q4_k_n", types), "Q4_K_M");
  EXPECT_EQ(Nearest("Q4KM", types), std::nullopt);  // two edits of four letters
  EXPECT_EQ(Nearest("IQ4XS", types), "IQ4_XS");
  EXPECT_EQ(Nearest("F15", types), "F16");
  EXPECT_EQ(Nearest("q8_0", types), "Q8_0");
}

TEST(TextTest, NearestGivesNothingForAnotherWord) {
  EXPECT_EQ(Nearest("banana", {"Q4_K_M", "Q8_0"}), std::nullopt);
  EXPECT_EQ(Nearest("banana", {}), std::nullopt);
  EXPECT_EQ(Nearest("", {"Q8_0"}), std::nullopt);
  EXPECT_EQ(Nearest("abc", {"xyz"}), std::nullopt);
}

TEST(TextTest, NearestPrefersTheNearerAndTheFirstOfEquals) {
  EXPECT_EQ(Nearest("measure", {"measured", "measure"}), "measure");
  EXPECT_EQ(Nearest("cat", {"bat", "rat"}), "bat");
}

TEST(TextTest, NearestLooksAtTheBeginningOfAVeryLongWordOnly) {
  const std::string word(1 << 20, 'a');
  EXPECT_EQ(Nearest(word, {"plan"}), std::nullopt);
}

TEST(TextTest, ReadableTextStaysAsItIs) {
  EXPECT_EQ(SafeText("Gemma 3 4B, räksmörgås, 模型, 👍"), "Gemma 3 4B, räksmörgås, 模型, 👍");
  EXPECT_EQ(SafeText(""), "");
}

TEST(TextTest, ControlCharactersAndEscapesAreShownAsQuestionMarks) {
  EXPECT_EQ(SafeText("a\x1b[31mred"), "a?[31mred");
  EXPECT_EQ(SafeText("a\nb\tc\rd\x7f"), "a?b?c?d?");
  EXPECT_EQ(SafeText(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(SafeText("\xC2\x9b"
                     "31m"),
            "?31m");  // the one-character CSI
}

TEST(TextTest, WhatReordersOrHidesTextIsShownAsQuestionMarks) {
  for (const char* rune : {"\u061C", "\u200B", "\u200E", "\u200F", "\u2028", "\u2029", "\u202A",
                           "\u202D", "\u202E", "\u2060", "\u2066", "\u2069", "\uFEFF"}) {
    EXPECT_EQ(SafeText(std::string("a") + rune + "b"), "a?b");
  }
}

TEST(TextTest, InvalidUtf8IsShownByteByByte) {
  EXPECT_EQ(SafeText("\xFFok\xFE"), "?ok?");
  EXPECT_EQ(SafeText("\xC0\xAF"), "??");            // overlong "/"
  EXPECT_EQ(SafeText("\xED\xA0\x80"), "???");       // a surrogate
  EXPECT_EQ(SafeText("\xF4\x90\x80\x80"), "????");  // beyond U+10FFFF
  EXPECT_EQ(SafeText("a\xE2\x82"), "a??");          // cut in the middle
  EXPECT_EQ(SafeText("\xE2\x28\xA1"), "?(?");       // a lead byte without its followers
}

TEST(TextTest, LongTextIsCutAtACharacter) {
  EXPECT_EQ(SafeText("abcdef", 6), "abcdef");
  EXPECT_EQ(SafeText("abcdefg", 6), "abcdef...");
  EXPECT_EQ(SafeText("äöü", 4), "äö...");
  EXPECT_EQ(SafeText("äöü", 5), "äö...");
  EXPECT_EQ(SafeText("a", 0), "...");
  EXPECT_EQ(SafeText(std::string(300, 'x')), std::string(200, 'x') + "...");
}

TEST(TextTest, AnyBytesBecomeTextThatIsSafeAgain) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string safe = SafeText(bytes);
    EXPECT_TRUE(IsUtf8(safe));
    EXPECT_EQ(SafeText(safe), safe);
  }
}

TEST(TextTest, IsUtf8AcceptsWellFormedTextAlone) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("aä模👍\x1b"));
  EXPECT_TRUE(IsUtf8("\xF4\x8F\xBF\xBF"));  // U+10FFFF
  EXPECT_FALSE(IsUtf8("\x80"));
  EXPECT_FALSE(IsUtf8("\xC1\xBF"));
  EXPECT_FALSE(IsUtf8("\xE0\x80\x80"));
  EXPECT_FALSE(IsUtf8("\xED\xBF\xBF"));
  EXPECT_FALSE(IsUtf8("\xF0\x8F\xBF\xBF"));
  EXPECT_FALSE(IsUtf8("\xF8\x88\x80\x80\x80"));
  EXPECT_FALSE(IsUtf8("\xF0\x9F\x91"));
}

}  // namespace
}  // namespace trimma::text_test
