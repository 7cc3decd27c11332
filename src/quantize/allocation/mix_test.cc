#include "quantize/allocation/mix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quantize/allocation/candidates.h"
#include "quantize/recipe_file.h"

namespace trimma::mix_test {
namespace {

using namespace tensor_type;

TensorInfo Tensor(const std::string& name, TensorType type, std::vector<uint64_t> shape) {
  TensorInfo tensor;
  tensor.name = name;
  tensor.type = type;
  tensor.shape = std::move(shape);
  tensor.bytes = *RowBytes(type, tensor.shape[0]) * tensor.rows();
  return tensor;
}

GgufFile Source(TensorType type) {
  GgufFile file;
  file.tensors = {Tensor("token_embd.weight", type, {256, 1000}),
                  Tensor("blk.0.attn_norm.weight", kF32, {256}),
                  Tensor("blk.0.ffn_up.weight", type, {256, 512}),
                  Tensor("blk.0.ffn_down.weight", type, {512, 256})};
  return file;
}

// Errors fall by four with every bit.
TensorWorth Worth(const TensorInfo& tensor, double sensitivity) {
  TensorWorth worth;
  worth.name = tensor.name;
  worth.sensitivity = sensitivity;
  worth.types = CandidateTypes(tensor);
  for (const TensorType type : worth.types) worth.errors.push_back(std::pow(4.0, -BitsOf(type)));
  worth.shares.assign(worth.types.size(), 0.5);
  return worth;
}

std::vector<TensorWorth> Worths(const GgufFile& file) {
  return {Worth(file.tensors[0], 1), Worth(file.tensors[2], 1), Worth(file.tensors[3], 100)};
}

uint64_t DataBytes(const GgufFile& file, const std::vector<TensorType>& types) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < types.size(); ++i)
    bytes += *RowBytes(types[i], file.tensors[i].row_length()) * file.tensors[i].rows();
  return bytes;
}

TEST(CandidateTypesTest, FitTheRowsAndHaveFewerBitsThanThereAre) {
  const auto types = CandidateTypes(Tensor("a", kF16, {256, 2}));
  EXPECT_EQ(types.back(), kQ8_0);
  EXPECT_NE(std::find(types.begin(), types.end(), kIQ4_XS), types.end());
  for (const TensorType type : CandidateTypes(Tensor("a", kF16, {320, 2})))
    EXPECT_EQ(InfoOf(type).block, 32) << NameOf(type);
  for (const TensorType type : CandidateTypes(Tensor("a", kQ5_K, {256, 2})))
    EXPECT_LT(BitsOf(type), BitsOf(kQ5_K));
  EXPECT_TRUE(CandidateTypes(Tensor("a", kF16, {40, 2})).empty());
  EXPECT_FALSE(ProbeType(Tensor("a", kQ2_K, {256, 2})).has_value());
  EXPECT_EQ(ProbeType(Tensor("a", kQ4_K, {256, 2})), kQ3_K);
  EXPECT_EQ(ProbeType(Tensor("a", kF16, {320, 2})), kQ4_0);
}

TEST(ChooseMixTest, StaysWithinTheFileAndGivesBitsWhereTheyCount) {
  const GgufFile file = Source(kF16);
  const uint64_t all_q5 = DataBytes(file, {kQ5_K, kF32, kQ5_K, kQ5_K});
  const auto mix = ChooseMix(file, Worths(file), {1000 + all_q5, std::nullopt}, 1000);
  ASSERT_TRUE(mix.ok());
  EXPECT_LE(1000 + DataBytes(file, mix->assignment.types), 1000 + all_q5);
  EXPECT_EQ(mix->assignment.types[1], kF32);
  EXPECT_GT(BitsOf(mix->assignment.types[3]), BitsOf(mix->assignment.types[2]));
  EXPECT_TRUE(mix->assignment.changes);
  ASSERT_NE(mix->label, nullptr);
}

TEST(ChooseMixTest, TheVocabularyKeepsFourBits) {
  const GgufFile file = Source(kF16);
  const uint64_t least = DataBytes(file, {kIQ4_XS, kF32, kQ2_K, kQ2_K});
  const auto mix = ChooseMix(file, Worths(file), {least + 1000, std::nullopt}, 1000);
  ASSERT_TRUE(mix.ok());
  EXPECT_EQ(mix->assignment.types[0], kIQ4_XS);
  const auto none = ChooseMix(file, Worths(file), {least + 999, std::nullopt}, 1000);
  EXPECT_EQ(none.error().code, Code::kNoFit);
}

TEST(ChooseMixTest, UnderALossTheSmallestFile) {
  const GgufFile file = Source(kF16);
  const auto loose = ChooseMix(file, Worths(file), {std::nullopt, 1.0}, 0);
  const auto tight = ChooseMix(file, Worths(file), {std::nullopt, 1e-4}, 0);
  ASSERT_TRUE(loose.ok() && tight.ok());
  EXPECT_LE(tight->expected_loss, 1e-4);
  EXPECT_GT(DataBytes(file, tight->assignment.types), DataBytes(file, loose->assignment.types));
}

TEST(ChooseMixTest, CompensationCountsOnlyWhereItWillBeUsed) {
  const GgufFile file = Source(kF16);
  const uint64_t bytes = 1000 + DataBytes(file, {kQ5_K, kF32, kQ5_K, kQ5_K});
  const auto with = ChooseMix(file, Worths(file), {bytes, std::nullopt}, 1000);
  const auto without = ChooseMix(file, Worths(file), {bytes, std::nullopt, false}, 1000);
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_EQ(with->assignment.types, without->assignment.types);  // all shares are alike
  EXPECT_DOUBLE_EQ(with->expected_loss, without->expected_loss / 2);
}

TEST(ChooseMixTest, AForcedTypeIsTheOnlyChoice) {
  const GgufFile file = Source(kF16);
  MixGoal goal;
  goal.file_bytes = 1000 + DataBytes(file, {kQ5_K, kF32, kQ5_K, kQ5_K});
  const auto free = ChooseMix(file, Worths(file), goal, 1000);
  goal.forced = {{0, kQ2_K}, {2, kQ8_0}};
  const auto mix = ChooseMix(file, Worths(file), goal, 1000);
  ASSERT_TRUE(free.ok() && mix.ok());
  EXPECT_EQ(mix->assignment.types[0], kQ2_K) << "the floor is for choices of ours";
  EXPECT_EQ(mix->assignment.types[2], kQ8_0);
  EXPECT_LE(1000 + DataBytes(file, mix->assignment.types), *goal.file_bytes);
  EXPECT_EQ(mix->unmeasured, 0);
  EXPECT_GT(mix->expected_loss, free->expected_loss);
}

TEST(ChooseMixTest, AForcedTypeThatWasNotMeasuredIsCounted) {
  const GgufFile file = Source(kF16);
  MixGoal goal;
  goal.file_bytes = 1'000'000'000;
  goal.forced = {{0, kF16}, {2, *TensorTypeByName("IQ3_S")}, {3, kF32}};
  const auto mix = ChooseMix(file, Worths(file), goal, 1000);
  ASSERT_TRUE(mix.ok());
  EXPECT_EQ(mix->assignment.types[2], *TensorTypeByName("IQ3_S"));
  EXPECT_EQ(mix->unmeasured, 1) << "F16 and F32 lose nothing";
  EXPECT_TRUE(mix->assignment.changes);
}

TEST(ChooseMixTest, WhatIsForcedCountsForTheLeastSize) {
  const GgufFile file = Source(kF16);
  MixGoal goal;
  goal.file_bytes = DataBytes(file, {kIQ4_XS, kF32, kQ2_K, kQ2_K}) + 1000;
  ASSERT_TRUE(ChooseMix(file, Worths(file), goal, 1000).ok());
  goal.forced = {{3, kQ8_0}};
  const auto none = ChooseMix(file, Worths(file), goal, 1000);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kNoFit);
}

TEST(ChooseMixTest, AQuantisedTensorIsKeptOrLowered) {
  const GgufFile file = Source(kQ5_K);
  const auto mix = ChooseMix(file, Worths(file), {1'000'000'000, std::nullopt}, 1000);
  ASSERT_TRUE(mix.ok());
  EXPECT_EQ(mix->assignment.types, TypesOf(file));
  EXPECT_FALSE(mix->assignment.changes);
}

}  // namespace
}  // namespace trimma::mix_test
