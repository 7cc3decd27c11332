#include "settings/toml_document.h"

#include <gtest/gtest.h>

namespace trimma::toml_document_test {
namespace {

std::string Written(const std::string& value) {
  const std::string text = "\xEF\xBB\xBF# \u6F22\n'\u00E5 k' = " + value + "# c\nz = 1";
  const Result<TomlDocument> document = TomlDocument::Parse(text);
  if (!document) return document.error().what;
  const TextSpan range = document->Range(*document->root().get("\u00E5 k"));
  return text.substr(range.begin, range.end - range.begin);
}

TEST(TomlDocumentTest, RangeIsExactlyTheValueAsWritten) {
  for (const char* value : {"1",
                            "-17",
                            "+0",
                            "0xdead_BEEF",
                            "0b1",
                            "1.5",
                            "6e-3",
                            "inf",
                            "-nan",
                            "true",
                            "false",
                            "''",
                            "\"\"",
                            "\"a\\\"#b\"",
                            "'\u6F22\U0001F600'",
                            "'''\na\n'''",
                            "\"\"\"\u00E5\n\\\n  b\"\"\"",
                            "1979-05-27",
                            "07:32:00",
                            "07:32:00.999",
                            "1979-05-27T07:32:00",
                            "1979-05-27 07:32:00",
                            "1979-05-27T07:32:00-07:00",
                            "[1, [2, '#']]",
                            "[\n1, # ]\n]",
                            "{ a = { b = '}' } }"}) {
    EXPECT_EQ(Written(value), value);
    EXPECT_EQ(Written(std::string(value) + " \t "), value);
  }
}

TEST(TomlDocumentTest, RangeIsExactAtTheEndOfTheFile) {
  for (const std::string value : {"1", "1.5", "'x'", "true", "1979-05-27", "[1]", "{}"}) {
    const Result<TomlDocument> document = TomlDocument::Parse("a=" + value);
    ASSERT_TRUE(document.ok());
    EXPECT_EQ(document->Range(*document->root().get("a")).begin, 2U);
    EXPECT_EQ(document->Range(*document->root().get("a")).end, 2 + value.size());
  }
}

TEST(TomlDocumentTest, LineIsTheWholeLineWithoutItsBreak) {
  const Result<TomlDocument> document = TomlDocument::Parse("a=1\r\n\nb=2");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->Line(0), "a=1");
  EXPECT_EQ(document->Line(4), "a=1");
  EXPECT_EQ(document->Line(5), "");
  EXPECT_EQ(document->Line(8), "b=2");
}

bool Same(const char* a, const char* b) { return SameToml(toml::parse(a), toml::parse(b)); }

TEST(TomlDocumentTest, SameComparesTypesAndValues) {
  EXPECT_TRUE(Same("", "# c"));
  EXPECT_TRUE(Same("a.b = 0x10\n[c]", "c = {}\n[a]\n'b' = 16"));
  EXPECT_TRUE(Same("a = [nan, 'x', 07:32:00]", "a = [-nan, \"x\", 07:32:00]"));
  EXPECT_FALSE(Same("a = 1", "a = 1.0"));
  EXPECT_FALSE(Same("a = 1", "a = 2"));
  EXPECT_FALSE(Same("a = 1", "b = 1"));
  EXPECT_FALSE(Same("a = 1", "a = 1\nb = 1"));
  EXPECT_FALSE(Same("a = [1, 2]", "a = [1]"));
  EXPECT_FALSE(Same("a = 0.0", "a = nan"));
  EXPECT_FALSE(Same("a = 07:32:00", "a = 07:32:01"));
  EXPECT_FALSE(Same("a = 1979-05-27T00:00:00", "a = 1979-05-27T00:00:00Z"));
}

}  // namespace
}  // namespace trimma::toml_document_test
