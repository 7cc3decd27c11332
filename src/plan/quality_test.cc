#include "plan/quality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "plan/kv_loss.h"
#include "plan/mix_share.h"
#include "plan/quality_fit.h"

namespace trimma::quality_test {
namespace {

using tensor_type::kF16;
using tensor_type::kF32;
using tensor_type::kQ4_K;
using tensor_type::kQ5_0;
using tensor_type::kQ6_K;
using tensor_type::kQ8_0;

TensorInfo Tensor(const std::string& name, TensorType type, std::vector<uint64_t> shape) {
  return {name, type, std::move(shape), 0, 0, 0};
}

// A model of `rows` rows of `width` in each of two matrices.
GgufFile ModelOf(TensorType type, uint64_t width, uint64_t rows) {
  GgufFile file;
  file.paths = {"/nowhere/model.gguf"};
  file.metadata.Set("general.architecture", std::string("somearch"));
  file.tensors = {Tensor("token_embd.weight", type, {width, rows}),
                  Tensor("blk.0.ffn_up.weight", type, {width, rows}),
                  Tensor("output_norm.weight", kF32, {width})};
  for (TensorInfo& t : file.tensors) t.bytes = *RowBytes(t.type, t.row_length()) * t.rows();
  return file;
}

Mix MixOf(const char* recipe, TensorType type, const GgufFile& file) {
  Mix mix;
  mix.recipe = FindFileType(recipe);
  mix.label = recipe;
  for (const TensorInfo& tensor : file.tensors)
    mix.assignment.types.push_back(tensor.shape.size() < 2 ? tensor.type : type);
  mix.assignment.changes = true;
  return mix;
}

Mix AsIs(const GgufFile& file) {
  Mix mix;
  mix.label = TypeLabel(file);
  for (const TensorInfo& tensor : file.tensors) mix.assignment.types.push_back(tensor.type);
  return mix;
}

// 8e9 parameters: the size that levels are told for.
GgufFile EightBillion(TensorType type = kF16) { return ModelOf(type, 4096, 976563); }

double PointLog(const LossPoint& p) { return std::log(p.mean_kld); }

// The same spread that LossTable gives a model it knows nothing of.
Estimate Predict(const LossFit& fit, const LossPoint& p) {
  const auto expected = fit.Expected(p.recipe, p.model->parameters, p.importance);
  CHECK(expected.has_value());
  return FromLog(*expected, fit.unknown_sd());
}

bool Holds(const Estimate& e, double kld) { return e.low <= kld && kld <= e.high; }

TEST(LossFitTest, AModelLeftOutLiesInsideTheIntervalNineTimesOfTen) {
  const auto& all = KnownLosses();
  std::map<std::string, int> models;
  int held = 0;
  double width = 0;
  for (const LossPoint& left_out : all) {
    std::vector<LossPoint> rest;
    std::copy_if(all.begin(), all.end(), std::back_inserter(rest),
                 [&](const LossPoint& p) { return p.model != left_out.model; });
    const LossFit fit = FitLosses(rest);
    if (!fit.Expected(left_out.recipe, left_out.model->parameters, true)) continue;
    const Estimate e = Predict(fit, left_out);
    held += Holds(e, left_out.mean_kld);
    width += std::log(e.high / e.value);
    ++models[left_out.model->name];
  }
  int tried = 0;
  for (const auto& [name, count] : models) tried += count;
  const double share = static_cast<double>(held) / tried;
  RecordProperty("held", held);
  RecordProperty("tried", tried);
  std::printf("a model left out: %d of %d inside, factor %.2f\n", held, tried,
              std::exp(width / tried));
  EXPECT_GE(share, 0.9);
  EXPECT_LE(std::exp(width / tried), 6) << "an interval that holds everything says nothing";
}

TEST(LossFitTest, APointLeftOutLiesInsideTheIntervalNineTimesOfTen) {
  const auto& all = KnownLosses();
  int held = 0;
  int tried = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    std::vector<LossPoint> rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    const LossFit fit = FitLosses(rest);
    if (!fit.Expected(all[i].recipe, all[i].model->parameters, true)) continue;
    held += Holds(Predict(fit, all[i]), all[i].mean_kld);
    ++tried;
  }
  std::printf("a point left out: %d of %d inside\n", held, tried);
  EXPECT_GE(static_cast<double>(held) / tried, 0.9);
  EXPECT_GE(tried, static_cast<int>(all.size()) - 2);
}

TEST(LossFitTest, OneMeasurementOfAModelPredictsItsOtherTypes) {
  // Every model's other points from each single one.
  const LossFit& fit = KnownLossFit();
  int held = 0;
  int tried = 0;
  for (const LossPoint& anchor : KnownLosses()) {
    for (const LossPoint& p : KnownLosses()) {
      if (p.model != anchor.model || p.recipe == anchor.recipe) continue;
      const double effect =
          PointLog(anchor) - *fit.Expected(anchor.recipe, p.model->parameters, anchor.importance);
      const double expected = *fit.Expected(p.recipe, p.model->parameters, p.importance) + effect;
      held += Holds(FromLog(expected, fit.type_sd * std::sqrt(2)), p.mean_kld);
      ++tried;
    }
  }
  std::printf("types from one measured: %d of %d inside\n", held, tried);
  EXPECT_GE(static_cast<double>(held) / tried, 0.9);
}

TEST(LossFitTest, LargerModelsLoseLess) {
  const LossFit& fit = KnownLossFit();
  EXPECT_LT(fit.slope, -0.1);
  EXPECT_GT(fit.slope, -0.6);
  EXPECT_LT(fit.type_sd, fit.model_sd);
}

TEST(LossFitTest, FewerBitsOfAFamilyLoseMore) {
  const LossFit& fit = KnownLossFit();
  const char* ladders[][7] = {
      {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K", "Q2_K_S"},
      {"Q8_0", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XXS", "IQ1_S"},
  };
  for (const auto& ladder : ladders) {
    for (size_t i = 1; i < std::size(ladder); ++i) {
      EXPECT_LT(*fit.Expected(ladder[i - 1], 8e9, true), *fit.Expected(ladder[i], 8e9, true))
          << ladder[i];
    }
  }
}

TEST(LossFitTest, ARecipeWithoutARowIsReadOffItsFamily) {
  std::vector<LossPoint> rest;
  for (const LossPoint& p : KnownLosses()) {
    if (std::string(p.recipe) != "IQ3_XS") rest.push_back(p);
  }
  const LossFit without = FitLosses(rest);
  ASSERT_FALSE(without.level.contains("IQ3_XS"));
  const double expected = *without.Expected("IQ3_XS", 8e9, true);
  EXPECT_NEAR(expected, *KnownLossFit().Expected("IQ3_XS", 8e9, true), 0.3);
  EXPECT_EQ(without.Expected("TQ1_0", 8e9, true), std::nullopt)
      << "made for models trained in three values";
}

TEST(MixShareTest, ARecipeThatGotItsWayHasItsWholeLoss) {
  const GgufFile file = EightBillion();
  EXPECT_DOUBLE_EQ(
      *MixShare(file, MixOf("Q4_K_M", kQ4_K, file).assignment.types, *FindFileType("Q4_K_M")), 1);
}

TEST(MixShareTest, RowsOf640TurnIntoTypesThatLoseLess) {
  const GgufFile file = ModelOf(kF16, 640, 1000);
  const double share =
      *MixShare(file, MixOf("Q4_K_M", kQ5_0, file).assignment.types, *FindFileType("Q4_K_M"));
  EXPECT_GT(share, 0.4) << "Q5_0 for Q4_K";
  EXPECT_LT(share, 0.9);
  EXPECT_DOUBLE_EQ(
      *MixShare(file, MixOf("Q5_0", kQ5_0, file).assignment.types, *FindFileType("Q5_0")), 1)
      << "here it is what was asked for";
}

TEST(MixShareTest, WhatIsQuantisedAlreadyAndStaysLosesNothing) {
  GgufFile file = EightBillion(kQ8_0);
  Mix mix = MixOf("Q4_K_M", kQ4_K, file);
  mix.assignment.types[0] = kQ8_0;
  EXPECT_NEAR(*MixShare(file, mix.assignment.types, *mix.recipe), 0.5, 1e-9);
  mix.assignment.types[1] = kQ8_0;
  EXPECT_EQ(*MixShare(file, mix.assignment.types, *mix.recipe), 0);
}

TEST(LossTableTest, AnUnquantisedFileAsItIsLosesNothing) {
  const GgufFile file = EightBillion();
  const LossTable table = LossTable::For(file, {});
  const auto loss = table.Loss(AsIs(file), "f16", "f16");
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->value, 0);
  EXPECT_EQ(loss->high, 0);
}

TEST(LossTableTest, AModelNobodyMeasuredGetsTheLadderAndAWideInterval) {
  const GgufFile file = EightBillion();
  const LossTable table = LossTable::For(file, {});
  const auto loss = table.Loss(MixOf("Q4_K_M", kQ4_K, file), "f16", "f16");
  ASSERT_TRUE(loss);
  EXPECT_FALSE(loss->measured);
  EXPECT_GT(loss->value, 0.012);
  EXPECT_LT(loss->value, 0.035);
  EXPECT_GT(loss->high / loss->value, 3);
  EXPECT_LT(loss->high / loss->value, 6);
  EXPECT_NE(table.basis().find("not measured on this model"), std::string::npos) << table.basis();
  EXPECT_EQ(table.basis().find("on top of"), std::string::npos);
}

TEST(LossTableTest, WithoutImportanceDataFourBitsLoseMore) {
  const GgufFile file = EightBillion();
  const Mix mix = MixOf("Q4_K_M", kQ4_K, file);
  const double with = LossTable::For(file, {}, true).WeightsLoss(mix)->value;
  const double without = LossTable::For(file, {}, false).WeightsLoss(mix)->value;
  EXPECT_NEAR(without / with, 1.2, 0.01);
}

TEST(LossTableTest, OurOwnSmallModelIsKnownByKindAndSize) {
  GgufFile file = ModelOf(kF16, 512, 25391);  // 26 M
  file.metadata.Set("general.architecture", std::string("llama"));
  const LossTable table = LossTable::For(file, {});
  const auto loss = table.WeightsLoss(MixOf("Q4_K_M", kQ4_K, file));
  ASSERT_TRUE(loss);
  EXPECT_NEAR(loss->value / 0.050243, 1, 0.25) << "measured: 0.050";
  EXPECT_LT(loss->high / loss->value, 3.5);
  EXPECT_NE(table.basis().find("same kind and size"), std::string::npos) << table.basis();
}

TEST(LossTableTest, OfAQuantisedSourceOnlyWhatIsLoweredCounts) {
  const GgufFile file = EightBillion(kQ6_K);
  const LossTable table = LossTable::For(file, {});
  EXPECT_EQ(table.Loss(AsIs(file), "f16", "f16")->value, 0);
  const auto lower = table.WeightsLoss(MixOf("Q4_K_M", kQ4_K, file));
  ASSERT_TRUE(lower);
  EXPECT_GT(lower->value, 0.01);
  EXPECT_NE(table.basis().find("on top of what the file lost"), std::string::npos) << table.basis();
}

TEST(LossTableTest, TheVendorsOwnFourBitsAreExpectedBetterAndLeastSure) {
  const GgufFile file = EightBillion();
  const LossTable table = LossTable::For(file, {});
  const auto qat = table.VendorQatLoss();
  const auto plain = table.WeightsLoss(MixOf("Q4_0", tensor_type::kQ4_0, file));
  ASSERT_TRUE(qat && plain);
  EXPECT_LT(qat->value, plain->value);
  EXPECT_GT(qat->high, plain->value);
  EXPECT_FALSE(qat->measured);
}

TEST(LossTableTest, AQuantisedCacheAddsItsOwnLoss) {
  const GgufFile file = EightBillion();
  const LossTable table = LossTable::For(file, {});
  const Mix mix = MixOf("Q4_K_M", kQ4_K, file);
  const double plain = table.Loss(mix, "f16", "f16")->value;
  const double q8 = table.Loss(mix, "q8_0", "q8_0")->value;
  const double q4 = table.Loss(mix, "q4_0", "q4_0")->value;
  EXPECT_GT(q8, plain);
  EXPECT_LT(q8 - plain, 0.005);
  EXPECT_GT(q4 - plain, q8 - plain);
  EXPECT_LT(table.Loss(mix, "f16", "q4_0")->value, table.Loss(mix, "q4_0", "f16")->value)
      << "K is the more sensitive of the two";
  EXPECT_EQ(table.Loss(mix, "q2_k", "f16"), std::nullopt);
  EXPECT_EQ(ExpectedKvLoss("bf16", "F32")->value, 0);
}

TEST(KvLossTest, IntervalsHoldWhatWasMeasuredHereAndElsewhere) {
  struct Seen {
    const char* k;
    const char* v;
    double kld;
  };
  constexpr Seen kSeen[] = {
      {"q8_0", "f16", 0.00013}, {"f16", "q8_0", 0.00003}, {"q8_0", "q8_0", 0.00017},
      {"q8_0", "q8_0", 0.0008}, {"q8_0", "q8_0", 0.0016}, {"q8_0", "q8_0", 0.0018},
      {"q8_0", "q8_0", 0.0075}, {"q8_0", "q8_0", 0.108},  {"q5_0", "f16", 0.0067},
      {"q5_0", "q5_0", 0.037},  {"f16", "q5_0", 0.0021},  {"q5_1", "f16", 0.0055},
      {"q4_0", "f16", 0.028},   {"f16", "q4_0", 0.0090},  {"q4_0", "q4_0", 0.037},
      {"q4_0", "q4_0", 0.0047}, {"q4_0", "q4_0", 0.117},  {"q4_0", "q4_0", 0.13},
      {"q8_0", "q4_0", 0.0090}, {"f16", "q4_0", 0.0040},  {"iq4_nl", "f16", 0.022},
  };
  for (const Seen& seen : kSeen) {
    const auto e = ExpectedKvLoss(seen.k, seen.v);
    ASSERT_TRUE(e);
    EXPECT_TRUE(Holds(*e, seen.kld)) << seen.k << " " << seen.v << " " << seen.kld;
    EXPECT_LT(e->value, 0.06) << "an expectation, not the worst case";
  }
}

}  // namespace
}  // namespace trimma::quality_test
