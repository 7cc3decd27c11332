#include "engine/ggml_types.h"

#include <gtest/gtest.h>

namespace trimma::ggml_types_test {
namespace {

TEST(GgmlTypesTest, OurNumbersAreGgmls) {
  for (const TypeInfo& info : TensorTypes()) {
    EXPECT_EQ(FromGgml(ToGgml(info.type)), info.type);
    EXPECT_EQ(ggml_blck_size(ToGgml(info.type)), info.block) << info.name;
  }
}

TEST(GgmlTypesTest, KvTypesAreFoundInAnyCase) {
  EXPECT_EQ(*GgmlKvType("f16"), GGML_TYPE_F16);
  EXPECT_EQ(*GgmlKvType("F16"), GGML_TYPE_F16);
  EXPECT_EQ(*GgmlKvType("q8_0"), GGML_TYPE_Q8_0);
  EXPECT_EQ(*GgmlKvType("iq4_nl"), GGML_TYPE_IQ4_NL);
  EXPECT_EQ(*GgmlKvType("bf16"), GGML_TYPE_BF16);
}

TEST(GgmlTypesTest, OtherTypesAreAUsageErrorWithTheNearestName) {
  const auto typo = GgmlKvType("q8_1");
  ASSERT_FALSE(typo.ok());
  EXPECT_EQ(typo.error().code, Code::kUsage);
  EXPECT_NE(typo.error().hint.find("did you mean q8_0?"), std::string::npos) << typo.error().hint;
  const auto other = GgmlKvType("something\x1b");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().what.find('\x1b'), std::string::npos);
  EXPECT_FALSE(GgmlKvType("").ok());
  EXPECT_FALSE(GgmlKvType("q4_k").ok());
}

}  // namespace
}  // namespace trimma::ggml_types_test
