#include "hardware/pseudo.h"

#include <gtest/gtest.h>

namespace trimma::pseudo_test {
namespace {

TEST(PseudoTest, ReadsLeadingNumbers) {
  EXPECT_EQ(LeadingNumber("  16384 kB"), 16384U);
  EXPECT_EQ(LeadingNumber("max"), std::nullopt);
  EXPECT_EQ(LeadingNumber("-1"), std::nullopt);
  EXPECT_EQ(LeadingNumber("99999999999999999999"), std::nullopt);
}

TEST(PseudoTest, FindsAWholeKeyOnly) {
  const char* text = "Model name: wrong\nModel\t\t: right\nempty:\ninactive_file 7";
  EXPECT_EQ(ValueOf(text, "Model"), "right");
  EXPECT_EQ(ValueOf(text, "empty"), "");
  EXPECT_EQ(ValueOf(text, "inactive_file"), "7");
  EXPECT_EQ(ValueOf(text, "absent"), std::nullopt);
}

TEST(PseudoTest, ReadsCpuLists) {
  EXPECT_EQ(ParseCpuList("0-3,8\n"), (std::vector<int>{0, 1, 2, 3, 8}));
  EXPECT_EQ(ParseCpuList("2,1,1-2"), (std::vector<int>{1, 2}));
  EXPECT_TRUE(ParseCpuList("").empty());
  EXPECT_TRUE(ParseCpuList("5-3,-2,x").empty());
  EXPECT_EQ(ParseCpuList("0-99999999999").size(), 8192U);
}

}  // namespace
}  // namespace trimma::pseudo_test
