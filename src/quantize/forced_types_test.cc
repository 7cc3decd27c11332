#include "quantize/forced_types.h"

#include <ggml.h>
#include <gtest/gtest.h>

namespace trimma::forced_types_test {
namespace {

using namespace tensor_type;

GgufFile Source(TensorType type, uint64_t row = 256) {
  GgufFile file;
  const auto add = [&](const std::string& name, TensorType t, std::vector<uint64_t> shape) {
    TensorInfo& tensor = file.tensors.emplace_back();
    tensor.name = name;
    tensor.type = t;
    tensor.shape = std::move(shape);
  };
  add("token_embd.weight", type, {row, 100});
  add("blk.0.attn_norm.weight", kF32, {row});
  add("blk.0.attn_v.weight", type, {row, 64});
  add("blk.1.attn_v.weight", type, {row, 64});
  add("blk.1.ffn_down.weight", type, {512, row});
  return file;
}

// As llama.cpp quantises: all but the norm.
std::vector<TensorType> AsQ8(const GgufFile& file) {
  std::vector<TensorType> types;
  for (const TensorInfo& tensor : file.tensors) types.push_back(tensor.type == kF32 ? kF32 : kQ8_0);
  return types;
}

std::vector<TypePattern> Patterns(const std::vector<std::string>& texts) {
  std::vector<TypePattern> patterns;
  for (const std::string& text : texts) {
    const auto pattern = ParseTypePattern(text);
    EXPECT_TRUE(pattern.ok()) << text << ": " << pattern.error().what;
    if (pattern.ok()) patterns.push_back(*pattern);
  }
  return patterns;
}

Result<ForcedTypes> Match(const GgufFile& file, const std::vector<std::string>& texts) {
  return MatchPatterns(Patterns(texts), file, AsQ8(file));
}

using Types = std::map<size_t, TensorType>;

TEST(TypePatternTest, IsCutAtTheLastEqualsSign) {
  const auto pattern = ParseTypePattern("(?=blk)blk=iq4_xs");
  ASSERT_TRUE(pattern.ok());
  EXPECT_EQ(pattern->pattern, "(?=blk)blk");
  EXPECT_EQ(pattern->type, kIQ4_XS);
}

TEST(TypePatternTest, WhatIsNoneIsAUsageError) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"attn_v", "PATTERN=TYPE"},
      {"=Q8_0", "PATTERN=TYPE"},
      {"attn_v=", "no type"},
      {"attn_v=Q4_K_M", "is a recipe"},
      {"attn_v=Q9", "no type"},
      {"attn_v=I32", "no type"},
      {"attn_v=Q8_1", "no type"},
      {"attn(=Q8_0", "no regular expression"},
      {"a{100000}{100000}=Q8_0", "no regular expression"},
      {std::string(2000, '(') + "=Q8_0", "longer than"},
  };
  for (const auto& [text, words] : bad) {
    const auto pattern = ParseTypePattern(text);
    ASSERT_FALSE(pattern.ok()) << text;
    EXPECT_EQ(pattern.error().code, Code::kUsage);
    EXPECT_NE(pattern.error().what.find(words), std::string::npos) << pattern.error().what;
    EXPECT_FALSE(pattern.error().hint.empty());
  }
  EXPECT_EQ(ParseTypePattern("a=Q4_KK").error().hint, "did you mean Q4_K?");
}

TEST(MatchPatternsTest, IsFoundAnywhereInANameInAnyCaseAndTheFirstCounts) {
  const GgufFile file = Source(kF16);
  const auto forced = Match(file, {"BLK.0.attn=Q8_0", "attn_v|down=Q5_K"});
  ASSERT_TRUE(forced.ok()) << forced.error().what;
  EXPECT_EQ(forced->types, (Types{{2, kQ8_0}, {3, kQ5_K}, {4, kQ5_K}}));
  ASSERT_EQ(forced->notes.size(), 2U);
  EXPECT_EQ(forced->notes[0],
            "--tensor-type BLK.0.attn=Q8_0: 1 tensor; 1 tensor that llama.cpp doesn't quantise "
            "stay");
  EXPECT_EQ(forced->notes[1], "--tensor-type attn_v|down=Q5_K: 2 tensors");
}

TEST(MatchPatternsTest, WhatFindsNothingIsSaid) {
  const GgufFile file = Source(kF16);
  const std::vector<std::pair<std::vector<std::string>, std::string>> bad = {
      {{"attn_q=Q8_0"}, "finds no tensor"},
      {{"attn_norm=Q8_0"}, "blk.0.attn_norm.weight"},
      {{"attn=Q8_0", "attn_v=Q6_K"}, "never counts"},
  };
  for (const auto& [texts, words] : bad) {
    const auto forced = Match(file, texts);
    ASSERT_FALSE(forced.ok()) << words;
    EXPECT_EQ(forced.error().code, Code::kUsage);
    EXPECT_NE(forced.error().what.find(words), std::string::npos) << forced.error().what;
  }
}

TEST(MatchPatternsTest, RowsThatTheBlocksDoNotDivideAreRefused) {
  const GgufFile file = Source(kF16, 320);
  const auto forced = Match(file, {"attn_v=Q4_K"});
  ASSERT_FALSE(forced.ok());
  EXPECT_EQ(forced.error().code, Code::kUsage);
  EXPECT_NE(forced.error().what.find("blk.0.attn_v.weight have 320"), std::string::npos)
      << forced.error().what;
  EXPECT_TRUE(Match(file, {"attn_v=Q5_1", "ffn_down=Q4_K"}).ok());
}

TEST(MatchPatternsTest, AQuantisedTensorIsKeptOrLowered) {
  const GgufFile file = Source(kQ5_K);
  const auto forced = Match(file, {"attn_v=Q8_0", "down=Q3_K"});
  ASSERT_TRUE(forced.ok());
  EXPECT_EQ(forced->types, (Types{{2, kQ5_K}, {3, kQ5_K}, {4, kQ3_K}}));
  EXPECT_NE(forced->notes[0].find("2 tensors stay as they are"), std::string::npos);
}

TEST(ForceTest, OverwritesAndTellsWhetherAnythingChanges) {
  const GgufFile file = Source(kF16);
  Assignment assignment;
  for (const TensorInfo& tensor : file.tensors) assignment.types.push_back(tensor.type);
  Force({{{2, kQ8_0}}, {"a note"}}, file, assignment);
  EXPECT_TRUE(assignment.changes);
  EXPECT_EQ(assignment.types[2], kQ8_0);
  EXPECT_EQ(assignment.notes, std::vector<std::string>{"a note"});
  Force({{{2, kF16}}, {}}, file, assignment);
  EXPECT_FALSE(assignment.changes);
}

TEST(AssignAroundTest, SaysNothingOfForcedTensorsAsTheRecipes) {
  const GgufFile file = Source(kF16, 320);
  const std::vector<TensorType> recipe_types = {kQ5_0, kF32, kQ5_0, kQ5_0, kQ4_K};
  const ForcedTypes forced = {{{0, kQ8_0}, {2, kQ8_0}, {3, kQ8_0}}, {}};
  const Assignment assignment = AssignAround(forced, file, *FindFileType("Q4_K_M"), recipe_types);
  EXPECT_EQ(assignment.types, (std::vector<TensorType>{kQ8_0, kF32, kQ8_0, kQ8_0, kQ4_K}));
  EXPECT_TRUE(assignment.notes.empty());
}

TEST(NeedsImportanceTest, WhatGgmlMakesOfImportanceAlone) {
  for (const TypeInfo& info : TensorTypes()) {
    const bool refused = ggml_quantize_requires_imatrix(static_cast<ggml_type>(info.type));
    EXPECT_TRUE(!refused || NeedsImportance(info.type)) << info.name;
  }
  // And what llama-quantize refuses besides.
  EXPECT_TRUE(NeedsImportance(*TensorTypeByName("IQ2_S")));
  EXPECT_FALSE(NeedsImportance(*TensorTypeByName("IQ3_S")));
  EXPECT_FALSE(NeedsImportance(kQ2_K));
}

}  // namespace
}  // namespace trimma::forced_types_test
