#include "report/table.h"

#include <gtest/gtest.h>

namespace trimma::table_test {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(RenderTable({{"type", "from"}, {{"Q4_K_M", "a"}, {"F16", "somewhere"}}}),
            "type    from\n"
            "Q4_K_M  a\n"
            "F16     somewhere\n");
}

TEST(TableTest, ColumnsOfNumbersStandToTheRight) {
  EXPECT_EQ(
      RenderTable({{"type", "size", "loss"},
                   {{"Q4_K_M", "2.5 GiB", "+0.02"}, {"F16", "10.1 GiB", "-"}, {"Q8_0", "", "-1"}}}),
      "type        size   loss\n"
      "Q4_K_M   2.5 GiB  +0.02\n"
      "F16     10.1 GiB      -\n"
      "Q8_0                 -1\n");
}

TEST(TableTest, OneWordMakesAColumnOfText) {
  EXPECT_EQ(RenderTable({{"a", "n"}, {{"x", "100"}, {"y", "unknown"}}}),
            "a  n\n"
            "x  100\n"
            "y  unknown\n");
}

TEST(TableTest, TheFirstColumnStandsToTheLeftEvenIfItsNamesAreNumbers) {
  EXPECT_EQ(RenderTable({{"context", "kv"}, {{"512", "1"}, {"131072", "12"}}}),
            "context  kv\n"
            "512       1\n"
            "131072   12\n");
}

TEST(TableTest, WidthsCountCharacters) {
  EXPECT_EQ(RenderTable({{"namn", "n"}, {{"räksmörgås", "1"}, {"a", "2"}}}),
            "namn        n\n"
            "räksmörgås  1\n"
            "a           2\n");
}

TEST(TableTest, AHeadAloneIsATable) {
  EXPECT_EQ(RenderTable({{"a", "b"}, {}}), "a  b\n");
  EXPECT_EQ(RenderTable({}), "\n");
}

TEST(TableTest, ShortRowsAreAllowed) {
  EXPECT_EQ(RenderTable({{"a", "b"}, {{"x"}, {"y", "z"}}}),
            "a  b\n"
            "x\n"
            "y  z\n");
}

}  // namespace
}  // namespace trimma::table_test
