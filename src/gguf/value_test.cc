#include "gguf/value.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace trimma::value_test {
namespace {

TEST(MetadataTest, KeepsTheOrderOfTheFile) {
  Metadata metadata;
  metadata.Set("b", uint32_t{1});
  metadata.Set("a", uint32_t{2});
  metadata.Set("c", uint32_t{3});
  metadata.Set("a", std::string("again"));
  metadata.Erase("b");
  metadata.Erase("never was");
  ASSERT_EQ(metadata.entries().size(), 2U);
  EXPECT_EQ(metadata.entries()[0].first, "a");
  EXPECT_EQ(metadata.String("a"), "again");
  EXPECT_EQ(metadata.Integer("c"), 3);
  EXPECT_FALSE(metadata.Has("b"));
}

TEST(MetadataTest, ValuesOfAnotherTypeAreAbsent) {
  Metadata metadata;
  metadata.Set("text", std::string("7"));
  metadata.Set("float", 1.5F);
  metadata.Set("bool", true);
  metadata.Set("huge", UINT64_MAX);
  metadata.Set("int8", int8_t{-7});
  EXPECT_EQ(metadata.Integer("text"), std::nullopt);
  EXPECT_EQ(metadata.Integer("float"), std::nullopt);
  EXPECT_EQ(metadata.Integer("bool"), std::nullopt);
  EXPECT_EQ(metadata.Integer("huge"), std::nullopt);
  EXPECT_EQ(metadata.Integer("int8"), -7);
  EXPECT_EQ(metadata.Number("float"), 1.5);
  EXPECT_EQ(metadata.Number("int8"), -7.0);
  EXPECT_EQ(metadata.Number("bool"), std::nullopt);
  EXPECT_EQ(metadata.Bool("bool"), true);
  EXPECT_EQ(metadata.Bool("int8"), std::nullopt);
  EXPECT_EQ(metadata.String("bool"), std::nullopt);
  EXPECT_EQ(metadata.String("absent"), std::nullopt);
  EXPECT_EQ(metadata.FindArray("text"), nullptr);
}

TEST(MetadataTest, PerLayerTakesAScalarOrAnArray) {
  Metadata metadata;
  metadata.Set("scalar", uint32_t{4});
  metadata.Set("array", Array{std::vector<int32_t>{1, 0, 3}});
  metadata.Set("bools", Array{std::vector<uint8_t>{1, 0, 1}, true});
  metadata.Set("floats", Array{std::vector<float>{1, 0, 1}});
  metadata.Set("huge", Array{std::vector<uint64_t>{UINT64_MAX}});
  EXPECT_EQ(metadata.PerLayer("scalar", 2), (std::vector<int64_t>{4, 4}));
  EXPECT_EQ(metadata.PerLayer("array", 3), (std::vector<int64_t>{1, 0, 3}));
  EXPECT_EQ(metadata.PerLayer("array", 2), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(metadata.PerLayer("array", 4), std::nullopt);
  EXPECT_EQ(metadata.PerLayer("bools", 3), std::nullopt);
  EXPECT_EQ(metadata.PerLayer("floats", 3), std::nullopt);
  EXPECT_EQ(metadata.PerLayer("huge", 1), std::nullopt);
  EXPECT_EQ(metadata.PerLayer("absent", 1), std::nullopt);
  EXPECT_EQ(metadata.PerLayer("scalar", UINT64_MAX), std::nullopt);  // no allocation of that
}

}  // namespace
}  // namespace trimma::value_test
