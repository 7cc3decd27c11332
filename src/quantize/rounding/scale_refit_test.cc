#include "quantize/rounding/scale_refit.h"

#include <gtest/gtest.h>

#include "base/half.h"
#include "quantize/rounding/second_moment.h"
#include "quantize/rounding/test_matrices.h"

namespace trimma::scale_refit_test {
namespace {

constexpr uint64_t kN = 256;

// One row of 256 weights with scales that are a little off.
class ScaleRefitTest : public testing::TestWithParam<const char*> {
 protected:
  ScaleRefitTest()
      : format_(*FindBlockFormat(*TensorTypeByName(GetParam()))),
        moment_(kN),
        weights_(NormalNoise(kN, 4, 0.02F)),
        blocks_(kN / format_.block),
        added_(kN),
        values_(kN),
        deltas_(kN) {
    const std::vector<float> x = CorrelatedInputs(1000, kN, 1);
    EXPECT_TRUE(moment_.Add(x.data(), 1000, 1).ok());
    matrix_.h = moment_.Matrix(0);
    matrix_.stride = moment_.stride();
    matrix_.width = kN;
    for (uint64_t j = 0; j < kN; ++j)
      added_[j] = (0.01F + 0.001F * static_cast<float>(j % 7)) * moment_.Matrix(0)[0];
    matrix_.added = added_.data();
    for (uint64_t b = 0; b < blocks_.size(); ++b) SetBlock(b);
    for (uint64_t j = 0; j < kN; ++j) values_[j] = Value(j);
    products_ = Products();
  }

  void SetBlock(uint64_t b) {
    Block& block = blocks_[b];
    const float levels = static_cast<float>(
        format_.Level(static_cast<uint8_t>(format_.levels - 1)) - format_.Level(0));
    const float scale = 0.13F / levels;
    block.scale = RoundToHalf(format_.has_group_scales() ? scale / 8 : scale);
    block.min_scale = RoundToHalf(format_.min_high > 1 ? 0.06F / 8 : 0.06F);
    for (uint32_t g = 0; g < format_.groups(); ++g) {
      block.scales[g] = format_.has_group_scales() ? 8 : 1;
      block.mins[g] = static_cast<uint8_t>(std::min(8, format_.min_high));
    }
    for (uint32_t j = 0; j < format_.block; ++j) {
      const float target = weights_[b * format_.block + j] + (format_.has_mins() ? 0.06F : 0.0F);
      int best = 0;
      for (int code = 0; code < format_.levels; ++code) {
        const auto distance = [&](int c) {
          return std::abs(scale * static_cast<float>(format_.Level(static_cast<uint8_t>(c))) -
                          target);
        };
        if (distance(code) < distance(best)) best = code;
      }
      block.codes[j] = static_cast<uint8_t>(best);
    }
    if (format_.has_group_scales()) std::fill_n(block.scales, format_.groups(), int8_t{6});
  }

  float Value(uint64_t j) const {
    return ValueOf(format_, blocks_[j / format_.block], static_cast<uint32_t>(j % format_.block));
  }
  std::vector<float> Products() const {
    std::vector<float> products(kN);
    for (uint64_t j = 0; j < kN; ++j) {
      double sum = double{matrix_.added[j]} * (weights_[j] - Value(j));
      for (uint64_t k = 0; k < kN; ++k)
        sum += double{matrix_.h[j * matrix_.stride + k]} * (weights_[k] - Value(k));
      products[j] = static_cast<float>(sum);
    }
    return products;
  }
  double Error() const {
    const std::vector<float> products = Products();
    double error = 0;
    for (uint64_t j = 0; j < kN; ++j) error += (weights_[j] - Value(j)) * double{products[j]};
    return error;
  }
  RefitRow Row() {
    return {&format_, blocks_.data(), values_.data(), products_.data(), deltas_.data()};
  }
  void ExpectSettled(const std::vector<float>& before) const {
    const std::vector<float> products = Products();
    for (uint64_t j = 0; j < kN; ++j) {
      EXPECT_EQ(values_[j], Value(j));
      EXPECT_NEAR(products_[j], products[j], 1e-3 * matrix_.added[j]);
      EXPECT_NEAR(before[j] + deltas_[j], values_[j], 1e-7);
    }
  }

  const BlockFormat& format_;
  SecondMoment moment_;
  WindowMatrix matrix_;
  std::vector<float> weights_;
  std::vector<Block> blocks_;
  std::vector<float> added_, values_, products_, deltas_;
};

TEST_P(ScaleRefitTest, GroupsGetBetterAndStateStaysTrue) {
  if (!format_.has_group_scales()) return;
  const std::vector<float> values = values_;
  const double before = Error();
  EXPECT_GT(RefitGroups(matrix_, Row()), 0U);
  EXPECT_LT(Error(), before);
  ExpectSettled(values);
}

TEST_P(ScaleRefitTest, BlocksGetBetterAndStayHalves) {
  const std::vector<float> values = values_;
  const double before = Error();
  EXPECT_GT(RefitBlocks(matrix_, Row()), 0U);
  EXPECT_LT(Error(), before);
  ExpectSettled(values);
  for (const Block& block : blocks_) {
    EXPECT_EQ(block.scale, RoundToHalf(block.scale));
    EXPECT_EQ(block.min_scale, RoundToHalf(block.min_scale));
  }
}

// No integer next to the chosen ones is better.
TEST_P(ScaleRefitTest, TheLastGroupsScaleIsTheBest) {
  if (!format_.has_group_scales()) return;
  RefitGroups(matrix_, Row());
  const double best = Error();
  Block& block = blocks_.back();
  const uint32_t group = format_.groups() - 1;
  for (const int step : {-1, 1}) {
    block.scales[group] = static_cast<int8_t>(block.scales[group] + step);
    EXPECT_GE(Error(), best * (1 - 1e-6));
    block.scales[group] = static_cast<int8_t>(block.scales[group] - step);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ScaleRefitTest,
                         testing::Values("Q4_0", "Q4_1", "Q2_K", "Q3_K", "Q4_K", "Q6_K", "IQ4_XS"),
                         [](const auto& type) { return std::string(type.param); });

}  // namespace
}  // namespace trimma::scale_refit_test
