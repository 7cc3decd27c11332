#include "base/units.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace trimma::units_test {
namespace {

uint64_t Bytes(const std::string& text) {
  const Result<uint64_t> bytes = ParseBytes(text);
  EXPECT_TRUE(bytes.ok()) << text << ": " << (bytes.ok() ? "" : bytes.error().what);
  return bytes.ok() ? *bytes : UINT64_MAX;
}

TEST(UnitsTest, PlainBytesKeepEveryDigit) {
  EXPECT_EQ(Bytes("0"), 0U);
  EXPECT_EQ(Bytes("2254857830"), 2254857830U);
  EXPECT_EQ(Bytes("2254857830B"), 2254857830U);
  // Beyond 2^53 a double would round.
  EXPECT_EQ(Bytes("9007199254740993"), 9007199254740993U);
  EXPECT_EQ(Bytes("9000000000000000001"), 9000000000000000001U);
}

TEST(UnitsTest, BinaryPrefixesArePowersOf1024) {
  EXPECT_EQ(Bytes("512MiB"), 512ULL << 20);
  EXPECT_EQ(Bytes("3KiB"), 3ULL << 10);
  EXPECT_EQ(Bytes("1TiB"), 1ULL << 40);
  EXPECT_EQ(Bytes("2.2GiB"), 2362232013U);
  EXPECT_EQ(Bytes("0.5KiB"), 512U);
}

TEST(UnitsTest, ABareLetterIsBinaryAsMemoryIs) {
  EXPECT_EQ(Bytes("800k"), 800ULL << 10);
  EXPECT_EQ(Bytes("800K"), 800ULL << 10);
  EXPECT_EQ(Bytes("6G"), 6ULL << 30);
  EXPECT_EQ(Bytes("6g"), 6ULL << 30);
  EXPECT_EQ(Bytes("1T"), 1ULL << 40);
}

TEST(UnitsTest, DecimalPrefixesArePowersOf1000) {
  EXPECT_EQ(Bytes("1kB"), 1000U);
  EXPECT_EQ(Bytes("3.5GB"), 3'500'000'000U);
  EXPECT_EQ(Bytes("7MB"), 7'000'000U);
  EXPECT_EQ(Bytes("2TB"), 2'000'000'000'000U);
}

TEST(UnitsTest, ABlankMayStandBeforeTheUnit) { EXPECT_EQ(Bytes("6 GiB"), 6ULL << 30); }

TEST(UnitsTest, WhatFormatBytesWritesCanBeReadAgain) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t bytes = random() >> (random() % 54 + 10);
    const std::string text = FormatBytes(bytes);
    if (text.ends_with("PiB")) continue;
    const auto near = static_cast<double>(bytes) * 0.01 + 1;
    EXPECT_NEAR(static_cast<double>(Bytes(text)), static_cast<double>(bytes), near) << text;
  }
}

TEST(UnitsTest, RefusesWhatIsNoSize) {
  for (const char* text : {"",
                           " ",
                           "GiB",
                           "-1",
                           "-5GiB",
                           "+5",
                           "1.2.3G",
                           "5X",
                           "5 apples",
                           "5iB",
                           "5i",
                           "1e5",
                           "0x10",
                           "nan",
                           "inf",
                           "5GiBs",
                           "5GiB ",
                           " 5GiB",
                           "1,5GiB",
                           ".",
                           "1.5",
                           "0.1B",
                           "9300000000000000000",
                           "99999999999999999999",
                           "9000000T",
                           "9300000TB",
                           "1234567890123456789012345678901234567890"}) {
    const Result<uint64_t> bytes = ParseBytes(text);
    ASSERT_FALSE(bytes.ok()) << text << " gave " << *bytes;
    EXPECT_EQ(bytes.error().code, Code::kUsage) << text;
    EXPECT_NE(bytes.error().what.find("is not a size"), std::string::npos);
    EXPECT_FALSE(bytes.error().hint.empty());
  }
}

TEST(UnitsTest, BytesHaveThreeDigitsAndABinaryPrefix) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1024), "1.00 KiB");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
  EXPECT_EQ(FormatBytes(253'126'246), "241 MiB");
  EXPECT_EQ(FormatBytes(26'345'984), "25.1 MiB");
  EXPECT_EQ(FormatBytes(3'972'844'748), "3.70 GiB");
  EXPECT_EQ(FormatBytes(6ULL << 40), "6.00 TiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16384 PiB");
}

TEST(UnitsTest, RoundingNeverGivesAFourthDigit) {
  for (uint64_t bytes = 1; bytes < 1ULL << 50; bytes += bytes / 7 + 1) {
    const std::string text = FormatBytes(bytes);
    const std::string number = text.substr(0, text.find(' '));
    EXPECT_LE(number.size(), number.find('.') == std::string::npos ? 3U : 4U) << text;
  }
}

TEST(UnitsTest, SecondsAreShownAtTheScaleThatMatters) {
  EXPECT_EQ(FormatSeconds(0), "0 ms");
  EXPECT_EQ(FormatSeconds(0.34), "340 ms");
  EXPECT_EQ(FormatSeconds(0.9994), "999 ms");
  EXPECT_EQ(FormatSeconds(0.9996), "1.0 s");
  EXPECT_EQ(FormatSeconds(12.34), "12.3 s");
  EXPECT_EQ(FormatSeconds(99.94), "99.9 s");
  EXPECT_EQ(FormatSeconds(99.96), "1 min 40 s");
  EXPECT_EQ(FormatSeconds(125), "2 min 05 s");
  EXPECT_EQ(FormatSeconds(3599.6), "1 h 00 min");
  EXPECT_EQ(FormatSeconds(7384), "2 h 03 min");
}

TEST(UnitsTest, CountsAreGroupedByThree) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1 000");
  EXPECT_EQ(FormatCount(1234567), "1 234 567");
  EXPECT_EQ(FormatCount(UINT64_MAX), "18 446 744 073 709 551 615");
}

}  // namespace
}  // namespace trimma::units_test
