#include "settings/quoting.h"

#include <gtest/gtest.h>

namespace trimma::quoting_test {
namespace {

TEST(QuotingTest, FloatTextIsShortAndAlwaysAFloat) {
  EXPECT_EQ(FloatText(0.7), "0.7");
  EXPECT_EQ(FloatText(1), "1.0");
  EXPECT_EQ(FloatText(0), "0.0");
  EXPECT_EQ(FloatText(1e-7), "1e-07");
  EXPECT_EQ(FloatText(0.1 + 0.2), "0.30000000000000004");
}

TEST(QuotingTest, TomlStringEscapesWhatControlsOrHides) {
  EXPECT_EQ(TomlString("a"), "\"a\"");
  EXPECT_EQ(TomlString("\"\\\n\t\r"), "\"\\\"\\\\\\n\\t\\u000D\"");
  EXPECT_EQ(TomlString("\x7F\u0085\u202E\uFEFF"), "\"\\u007F\\u0085\\u202E\\uFEFF\"");
  EXPECT_EQ(TomlString("?\u00E5\u6F22\U0001F600"), "\"?\u00E5\u6F22\U0001F600\"");
}

TEST(QuotingTest, ShellWordIsOneWordOfBash) {
  EXPECT_EQ(ShellWord("/a/b-c_1.gguf"), "/a/b-c_1.gguf");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
  EXPECT_EQ(ShellWord("~"), "'~'");
  EXPECT_EQ(ShellWord("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellWord("\u00E5"), "'\u00E5'");
  EXPECT_EQ(ShellWord("a\n'\\\x1b"), "$'a\\x0a\\'\\\\\\x1b'");
  EXPECT_EQ(ShellWord("\u202E"), "$'\\xe2\\x80\\xae'");
}

TEST(QuotingTest, EnvironmentValueEscapesInsideDoubleQuotes) {
  EXPECT_EQ(EnvironmentValue("q8_0"), "q8_0");
  EXPECT_EQ(EnvironmentValue("a b"), "\"a b\"");
  EXPECT_EQ(EnvironmentValue("\\$\"`"), "\"\\\\\\$\\\"\\`\"");
}

}  // namespace
}  // namespace trimma::quoting_test
