#include "plan/assignment.h"

#include <gtest/gtest.h>

namespace trimma::assignment_test {
namespace {

using tensor_type::kF16;
using tensor_type::kF32;
using tensor_type::kQ4_0;
using tensor_type::kQ4_K;
using tensor_type::kQ5_0;
using tensor_type::kQ6_K;
using tensor_type::kQ8_0;

GgufFile FileOf(const std::vector<TensorType>& types, uint64_t row_length = 256) {
  GgufFile file;
  file.metadata.Set("general.architecture", std::string("llama"));
  file.metadata.Set("general.file_type", uint32_t{1});
  for (const TensorType type : types) {
    const std::string name = "t" + std::to_string(file.tensors.size());
    file.tensors.push_back({name, type, {row_length, 4}, *RowBytes(type, row_length) * 4, 0, 0});
  }
  return file;
}

const FileType& Recipe(const char* name) {
  const FileType* recipe = FindFileType(name);
  CHECK(recipe != nullptr);
  return *recipe;
}

using Types = std::vector<TensorType>;

TEST(AssignmentTest, BitsIncludeTheScales) {
  EXPECT_EQ(BitsOf(kF32), 32);
  EXPECT_EQ(BitsOf(kQ4_0), 4.5);
  EXPECT_EQ(BitsOf(kQ4_K), 4.5);
  EXPECT_EQ(BitsOf(kQ8_0), 8.5);
  EXPECT_EQ(BitsOf(kQ6_K), 6.5625);
}

TEST(AssignmentTest, AnUnquantisedSourceGetsWhatTheRecipeSays) {
  const Types wanted = {kQ4_K, kQ6_K, kF32};
  const Assignment a = Assign(FileOf({kF16, kF16, kF32}), Recipe("Q4_K_M"), wanted);
  EXPECT_EQ(a.types, wanted);
  EXPECT_TRUE(a.changes);
  EXPECT_TRUE(a.notes.empty());
}

TEST(AssignmentTest, BitsThatAreGoneDoNotComeBack) {
  const Assignment a = Assign(FileOf({kQ4_0, kQ8_0, kF16}), Recipe("Q6_K"), {kQ6_K, kQ6_K, kQ6_K});
  EXPECT_EQ(a.types, (Types{kQ4_0, kQ6_K, kQ6_K})) << "kept, lowered, quantised";
  ASSERT_EQ(a.notes.size(), 1U);
  EXPECT_NE(a.notes[0].find("Q4_0"), std::string::npos) << a.notes[0];
}

TEST(AssignmentTest, AnotherTypeOfTheSameSizeIsNoGain) {
  const Assignment a = Assign(FileOf({kQ4_0}), Recipe("Q4_K_M"), {kQ4_K});
  EXPECT_EQ(a.types, Types{kQ4_0});
  EXPECT_FALSE(a.changes);
}

TEST(AssignmentTest, ARecipeThatFitsAlreadyChangesNothing) {
  const Assignment a = Assign(FileOf({kQ8_0, kF32}), Recipe("Q8_0"), {kQ8_0, kF32});
  EXPECT_FALSE(a.changes);
  EXPECT_TRUE(a.notes.empty());
}

TEST(AssignmentTest, NoTensorIsEverGivenMoreBitsThanItHas) {
  for (const TypeInfo& from : TensorTypes()) {
    if (!from.quantized) continue;
    for (const TypeInfo& to : TensorTypes()) {
      const Assignment a = Assign(FileOf({from.type}), Recipe("Q4_K_M"), {to.type});
      EXPECT_LE(BitsOf(a.types[0]), BitsOf(from.type)) << from.name << " to " << to.name;
      EXPECT_EQ(a.changes, a.types[0] != from.type);
    }
  }
}

TEST(AssignmentTest, FallbacksForOddRowsAreNoted) {
  GgufFile file = FileOf({kF16, kF16, kF16}, 640);
  file.tensors[2].shape = {256, 4};
  const Assignment a = Assign(file, Recipe("Q4_K_M"), {kQ5_0, kQ5_0, kQ4_K});
  ASSERT_EQ(a.notes.size(), 1U);
  EXPECT_EQ(a.notes[0],
            "2 tensors with rows of 640, no multiple of 256, become Q5_0 instead of a Q4_K type");
}

TEST(AssignmentTest, OneTensorIsCountedAsOne) {
  const Assignment a = Assign(FileOf({kF16}, 640), Recipe("Q4_K_M"), {kQ5_0});
  ASSERT_EQ(a.notes.size(), 1U);
  EXPECT_TRUE(a.notes[0].starts_with("1 tensor with ")) << a.notes[0];
  const Assignment kept = Assign(FileOf({kQ4_0}), Recipe("Q8_0"), {kQ8_0});
  ASSERT_EQ(kept.notes.size(), 1U);
  EXPECT_TRUE(kept.notes[0].starts_with("1 tensor stay")) << kept.notes[0];
}

TEST(AssignmentTest, TheOutputSaysWhatItBecame) {
  const GgufFile source = FileOf({kF16, kF32});
  const FileType& recipe = Recipe("Q8_0");
  const auto layout = LayOutOutput(source, Assign(source, recipe, {kQ8_0, kF32}), recipe);
  ASSERT_TRUE(layout.ok());
  const auto header = ParseGguf(layout->header, layout->file_bytes, "made");
  ASSERT_TRUE(header.ok()) << header.error().what;
  EXPECT_EQ(header->metadata.Integer("general.file_type"), 7);
  EXPECT_EQ(header->metadata.Integer("general.quantization_version"), 2);
  EXPECT_EQ(header->metadata.String("general.architecture"), "llama");
  EXPECT_EQ(header->tensors[0].type, kQ8_0);
  EXPECT_EQ(header->tensors[1].type, kF32);
}

TEST(AssignmentTest, ACopyKeepsItsLabel) {
  const GgufFile source = FileOf({kQ4_0});
  const FileType& recipe = Recipe("Q8_0");
  const auto layout = LayOutOutput(source, Assign(source, recipe, {kQ8_0}), recipe);
  ASSERT_TRUE(layout.ok());
  const auto header = ParseGguf(layout->header, layout->file_bytes, "copy");
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->metadata.Integer("general.file_type"), 1);
  EXPECT_FALSE(header->metadata.Has("general.quantization_version"));
}

TEST(AssignmentTest, ShardsBecomeOneFile) {
  GgufFile source = FileOf({kF16, kF16});
  source.metadata.Set("split.no", uint16_t{0});
  source.metadata.Set("split.count", uint16_t{2});
  source.metadata.Set("split.tensors.count", int32_t{2});
  source.tensors[1].shard = 1;
  const FileType& recipe = Recipe("Q8_0");
  const auto layout = LayOutOutput(source, Assign(source, recipe, {kQ8_0, kQ8_0}), recipe);
  ASSERT_TRUE(layout.ok());
  const auto header = ParseGguf(layout->header, layout->file_bytes, "whole");
  ASSERT_TRUE(header.ok());
  for (const auto& [key, value] : header->metadata.entries())
    EXPECT_FALSE(key.starts_with("split.")) << key;
  EXPECT_EQ(header->tensors.size(), 2U);
}

}  // namespace
}  // namespace trimma::assignment_test
