#include "gguf/types.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <set>

#include "base/text.h"

namespace trimma::types_test {
namespace {

TEST(TypesTest, EveryRowAgreesWithGgml) {
  for (const TypeInfo& info : TensorTypes()) {
    const auto type = static_cast<ggml_type>(info.type);
    EXPECT_EQ(ToLower(info.name), ToLower(ggml_type_name(type)));
    EXPECT_EQ(info.block, static_cast<uint64_t>(ggml_blck_size(type))) << info.name;
    EXPECT_EQ(info.block_bytes, ggml_type_size(type)) << info.name;
    EXPECT_EQ(info.quantized, ggml_is_quantized(type)) << info.name;
  }
}

TEST(TypesTest, NoTypeOfGgmlIsMissingAndRemovedOnesAreAbsent) {
  for (uint32_t id = 0; id < GGML_TYPE_COUNT; ++id) {
    const bool alive = ggml_blck_size(static_cast<ggml_type>(id)) > 0;
    EXPECT_EQ(FindType(id) != nullptr, alive) << id;
  }
  EXPECT_EQ(FindType(GGML_TYPE_COUNT), nullptr);
  EXPECT_EQ(FindType(UINT32_MAX), nullptr);
}

TEST(TypesTest, NamesAreUniqueAndFoundInAnyCase) {
  std::set<std::string> names;
  for (const TypeInfo& info : TensorTypes()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(TensorTypeByName(ToLower(info.name)), info.type);
    EXPECT_STREQ(NameOf(info.type), info.name);
  }
  EXPECT_EQ(TensorTypeByName("q4_k"), tensor_type::kQ4_K);
  EXPECT_EQ(TensorTypeByName("Q4_K_M"), std::nullopt);  // a mix of types, not a type
}

TEST(TypesTest, NamedConstantsAreWhatTheySay) {
  EXPECT_STREQ(NameOf(tensor_type::kF32), "F32");
  EXPECT_STREQ(NameOf(tensor_type::kF16), "F16");
  EXPECT_STREQ(NameOf(tensor_type::kQ4_0), "Q4_0");
  EXPECT_STREQ(NameOf(tensor_type::kQ4_1), "Q4_1");
  EXPECT_STREQ(NameOf(tensor_type::kQ5_0), "Q5_0");
  EXPECT_STREQ(NameOf(tensor_type::kQ5_1), "Q5_1");
  EXPECT_STREQ(NameOf(tensor_type::kQ8_0), "Q8_0");
  EXPECT_STREQ(NameOf(tensor_type::kQ2_K), "Q2_K");
  EXPECT_STREQ(NameOf(tensor_type::kQ3_K), "Q3_K");
  EXPECT_STREQ(NameOf(tensor_type::kQ4_K), "Q4_K");
  EXPECT_STREQ(NameOf(tensor_type::kQ5_K), "Q5_K");
  EXPECT_STREQ(NameOf(tensor_type::kQ6_K), "Q6_K");
  EXPECT_STREQ(NameOf(tensor_type::kIQ4_NL), "IQ4_NL");
  EXPECT_STREQ(NameOf(tensor_type::kIQ4_XS), "IQ4_XS");
  EXPECT_STREQ(NameOf(tensor_type::kBF16), "BF16");
}

TEST(TypesTest, RowBytesNeedsWholeBlocksAndDoesNotOverflow) {
  EXPECT_EQ(RowBytes(tensor_type::kQ4_K, 512), 288U);
  EXPECT_EQ(RowBytes(tensor_type::kQ4_K, 640), std::nullopt);
  EXPECT_EQ(RowBytes(tensor_type::kF32, 0), 0U);
  EXPECT_EQ(RowBytes(tensor_type::kF32, UINT64_MAX / 4), UINT64_MAX - 3);
  EXPECT_EQ(RowBytes(tensor_type::kF32, UINT64_MAX / 4 + 1), std::nullopt);
}

}  // namespace
}  // namespace trimma::types_test
