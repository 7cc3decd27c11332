#include "quantize/rounding/held_out.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/rows.h"
#include "quantize/rounding/round_compensated.h"
#include "quantize/rounding/test_matrices.h"

namespace trimma::held_out_test {
namespace {

constexpr uint64_t kN = 512;
constexpr uint64_t kRows = 20;

TEST(HeldOutTest, OnlyWhatIsSmallerWins) {
  EXPECT_TRUE(ChooseRounding(2, 1).compensated);
  EXPECT_FALSE(ChooseRounding(1, 2).compensated);
  EXPECT_FALSE(ChooseRounding(1, 1).compensated);
  EXPECT_FALSE(ChooseRounding(0, 0).compensated);
  EXPECT_FALSE(ChooseRounding(1, NAN).compensated);
  EXPECT_FALSE(ChooseRounding(NAN, INFINITY).compensated);
  EXPECT_TRUE(ChooseRounding(INFINITY, 1).compensated);
  EXPECT_TRUE(ChooseRounding(NAN, 1).compensated);
  EXPECT_EQ(ChooseRounding(2, 1).plain_error, 2);
  EXPECT_EQ(ChooseRounding(2, 1).compensated_error, 1);
}

SecondMoment MomentOf(const std::vector<float>& x) {
  SecondMoment moment(kN);
  EXPECT_TRUE(moment.Add(x.data(), x.size() / kN, 1).ok());
  return moment;
}

// Rounds to Q4_K with one moment and compares on another.
RoundingChoice Choose(const SecondMoment& seen, const SecondMoment& held_out) {
  PrepareRows(tensor_type::kQ4_K);
  const Compensation compensation = Compensation::Prepare(seen, 1).value();
  const std::vector<float> data = NormalNoise(kRows * kN, 3, 0.02F);
  const WeightMatrix weights{data.data(), kRows, kN};
  std::vector<char> plain(*RowBytes(tensor_type::kQ4_K, kN) * kRows);
  std::vector<char> compensated(plain.size());
  QuantizeRows(tensor_type::kQ4_K, data.data(), kRows, kN, nullptr, plain.data());
  EXPECT_TRUE(
      RoundCompensated(weights, tensor_type::kQ4_K, compensation, {}, compensated.data()).ok());
  return ChooseOnHeldOut(weights, {tensor_type::kQ4_K, plain.data(), compensated.data()}, held_out,
                         1)
      .value();
}

TEST(HeldOutTest, CompensationWinsOnMoreOfTheSame) {
  const RoundingChoice choice =
      Choose(MomentOf(CorrelatedInputs(2000, kN, 1)), MomentOf(CorrelatedInputs(500, kN, 9)));
  EXPECT_TRUE(choice.compensated);
  EXPECT_LT(choice.compensated_error, choice.plain_error);
}

TEST(HeldOutTest, WhatWasLearntFromAFewOtherTokensLoses) {
  const RoundingChoice choice =
      Choose(MomentOf(NormalNoise(40 * kN, 5)), MomentOf(NormalNoise(3000 * kN, 6)));
  EXPECT_FALSE(choice.compensated);
  EXPECT_GT(choice.compensated_error, choice.plain_error);
}

}  // namespace
}  // namespace trimma::held_out_test
