#include "gguf/file_type.h"

#include <ggml.h>
#include <gtest/gtest.h>
#include <llama-ext.h>
#include <llama.h>

#include <set>

namespace trimma::file_type_test {
namespace {

GgufFile FileOf(const std::vector<TensorInfo>& tensors, std::optional<Value> file_type = {}) {
  GgufFile file;
  file.tensors = tensors;
  if (file_type) file.metadata.Set("general.file_type", *file_type);
  return file;
}

TensorInfo Tensor(TensorType type, uint64_t bytes) { return {"t", type, {bytes}, bytes, 0, 0}; }

// The recipes that llama-quantize refuses without importance data (llama-quant.cpp at the pinned
// commit, tensor_requires_imatrix).
bool EngineWantsImportance(const FileType& type) {
  switch (static_cast<ggml_type>(type.base)) {
    case GGML_TYPE_IQ3_XXS:
    case GGML_TYPE_IQ2_XXS:
    case GGML_TYPE_IQ2_XS:
    case GGML_TYPE_IQ2_S:
    case GGML_TYPE_IQ1_M:
    case GGML_TYPE_IQ1_S:
      return true;
    default:
      return type.id == LLAMA_FTYPE_MOSTLY_Q2_K_S;
  }
}

TEST(FileTypeTest, NumbersAreTheEngines) {
  const std::pair<const char*, uint32_t> known[] = {
      {"F32", LLAMA_FTYPE_ALL_F32},          {"F16", LLAMA_FTYPE_MOSTLY_F16},
      {"BF16", LLAMA_FTYPE_MOSTLY_BF16},     {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
      {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},     {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},
      {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},     {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},
      {"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S}, {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
      {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},     {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},
      {"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S}, {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
      {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS}, {"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L},
      {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M}, {"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S},
      {"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},   {"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},
      {"IQ3_XS", LLAMA_FTYPE_MOSTLY_IQ3_XS}, {"IQ3_XXS", LLAMA_FTYPE_MOSTLY_IQ3_XXS},
      {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},     {"Q2_K_S", LLAMA_FTYPE_MOSTLY_Q2_K_S},
      {"IQ2_M", LLAMA_FTYPE_MOSTLY_IQ2_M},   {"IQ2_S", LLAMA_FTYPE_MOSTLY_IQ2_S},
      {"IQ2_XS", LLAMA_FTYPE_MOSTLY_IQ2_XS}, {"IQ2_XXS", LLAMA_FTYPE_MOSTLY_IQ2_XXS},
      {"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},   {"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
      {"IQ1_M", LLAMA_FTYPE_MOSTLY_IQ1_M},   {"IQ1_S", LLAMA_FTYPE_MOSTLY_IQ1_S}};
  EXPECT_EQ(std::size(known), FileTypes().size());
  for (const auto& [name, id] : known) {
    const FileType* type = FindFileType(name);
    ASSERT_NE(type, nullptr) << name;
    EXPECT_EQ(type->id, id) << name;
  }
}

TEST(FileTypeTest, TheBaseIsTheTypeThatTheEngineStartsFrom) {
  for (const FileType& type : FileTypes()) {
    EXPECT_EQ(static_cast<ggml_type>(type.base),
              llama_ftype_get_default_type(static_cast<llama_ftype>(type.id)))
        << type.name;
  }
}

TEST(FileTypeTest, KnowsWhatCannotBeMadeWithoutImportance) {
  for (const FileType& type : FileTypes()) {
    EXPECT_EQ(type.needs_importance, EngineWantsImportance(type)) << type.name;
    // ggml aborts there: never ask it to.
    if (ggml_quantize_requires_imatrix(static_cast<ggml_type>(type.base))) {
      EXPECT_TRUE(type.needs_importance) << type.name;
    }
  }
}

TEST(FileTypeTest, StandInOrderOfTheirBits) {
  double before = 33;
  for (const FileType& type : FileTypes()) {
    const TypeInfo& info = InfoOf(type.base);
    const double bits = 8.0 * info.block_bytes / info.block;
    EXPECT_LE(bits, before) << type.name;
    before = bits;
  }
}

TEST(FileTypeTest, AreFoundByNameInAnyCaseAndByNumber) {
  std::set<uint32_t> ids;
  for (const FileType& type : FileTypes()) {
    EXPECT_EQ(FindFileType(type.name), &type);
    EXPECT_EQ(FindFileType(type.id), &type);
    EXPECT_TRUE(ids.insert(type.id).second) << type.name;
  }
  EXPECT_EQ(FindFileType("q4_k_m"), FindFileType("Q4_K_M"));
  EXPECT_EQ(FindFileType("Q4_K"), nullptr);
  EXPECT_EQ(FindFileType(""), nullptr);
  EXPECT_EQ(FindFileType(4096U), nullptr);
  EXPECT_EQ(FileTypeNames().size(), FileTypes().size());
  EXPECT_EQ(FileTypeNames().front(), "F32");
}

TEST(FileTypeTest, AFileIsCalledWhatItSaysItIs) {
  const std::vector<TensorInfo> tensors = {Tensor(tensor_type::kQ6_K, 900),
                                           Tensor(tensor_type::kQ4_K, 100)};
  EXPECT_EQ(TypeLabel(FileOf(tensors, Value(uint32_t{15}))), "Q4_K_M");
  EXPECT_EQ(TypeLabel(FileOf(tensors, Value(int32_t{7}))), "Q8_0");
}

TEST(FileTypeTest, OrAfterTheTypeWithMostBytes) {
  const std::vector<TensorInfo> tensors = {
      Tensor(tensor_type::kF32, 400), Tensor(tensor_type::kQ6_K, 300),
      Tensor(tensor_type::kQ6_K, 200), Tensor(tensor_type::kQ4_K, 100)};
  EXPECT_EQ(TypeLabel(FileOf(tensors)), "Q6_K");
  EXPECT_EQ(TypeLabel(FileOf(tensors, Value(uint32_t{1000}))), "Q6_K");
  EXPECT_EQ(TypeLabel(FileOf(tensors, Value(int32_t{-1}))), "Q6_K");
  EXPECT_EQ(TypeLabel(FileOf(tensors, Value(std::string("Q4_K_M")))), "Q6_K");
  EXPECT_EQ(TypeLabel(FileOf({})), "F32");
}

TEST(FileTypeTest, UnquantisedIsAMatterOfBytesNotOfLabels) {
  EXPECT_TRUE(IsUnquantised(FileOf({Tensor(tensor_type::kBF16, 2), Tensor(tensor_type::kF32, 1)})));
  EXPECT_TRUE(IsUnquantised(FileOf({Tensor(tensor_type::kF16, 9), Tensor(tensor_type::kQ8_0, 8)})));
  EXPECT_FALSE(IsUnquantised(
      FileOf({Tensor(tensor_type::kF32, 1), Tensor(tensor_type::kQ8_0, 9)}, Value(uint32_t{1}))));
}

}  // namespace
}  // namespace trimma::file_type_test
