#include "quantize/rounding/weighted_error.h"

#include <gtest/gtest.h>

#include "engine/rows.h"
#include "quantize/rounding/test_matrices.h"

namespace trimma::weighted_error_test {
namespace {

constexpr uint64_t kN = 512;
constexpr uint64_t kRows = 70;

double Exact(const std::vector<float>& w, const std::vector<float>& v, const SecondMoment& moment) {
  double error = 0;
  for (uint64_t row = 0; row < kRows; ++row) {
    for (uint64_t i = 0; i < kN; ++i) {
      const uint64_t block = i / moment.block();
      const double r = double{w[row * kN + i]} - v[row * kN + i];
      for (uint64_t j = block * moment.block(); j < (block + 1) * moment.block(); ++j) {
        error += r *
                 moment.Matrix(block)[i % moment.block() * moment.stride() + j % moment.block()] *
                 (double{w[row * kN + j]} - v[row * kN + j]);
      }
    }
  }
  return error;
}

SecondMoment MomentOf(uint64_t block) {
  const std::vector<float> x = CorrelatedInputs(300, kN, 1);
  SecondMoment moment(kN, block);
  EXPECT_TRUE(moment.Add(x.data(), 300, 1).ok());
  return moment;
}

TEST(WeightedErrorTest, IsTheTraceForAnyNumberOfThreads) {
  const std::vector<float> w = NormalNoise(kRows * kN, 2);
  const std::vector<float> v = NormalNoise(kRows * kN, 3);
  for (const uint64_t block : {0, 128}) {
    const SecondMoment moment = MomentOf(block);
    const double exact = Exact(w, v, moment);
    const Result<double> error = WeightedError({w.data(), kRows, kN}, v.data(), moment, 1);
    ASSERT_TRUE(error.ok());
    EXPECT_NEAR(error.value() / exact, 1, 1e-5);
    EXPECT_EQ(WeightedError({w.data(), kRows, kN}, v.data(), moment, 3).value(), error.value());
  }
}

TEST(WeightedErrorTest, BlocksCountAsTheirValues) {
  const SecondMoment moment = MomentOf(0);
  const std::vector<float> w = NormalNoise(kRows * kN, 2);
  for (const char* name : {"Q4_K", "Q3_K", "F16", "IQ3_S"}) {
    const TensorType type = *TensorTypeByName(name);
    PrepareRows(type);
    std::vector<char> blocks(*RowBytes(type, kN) * kRows);
    QuantizeRows(type, w.data(), kRows, kN, nullptr, blocks.data());
    std::vector<float> v(kRows * kN);
    DequantizeRows(type, blocks.data(), kRows, kN, v.data());
    const WeightMatrix weights{w.data(), kRows, kN};
    EXPECT_EQ(WeightedErrorOfBlocks(weights, type, blocks.data(), moment, 2).value(),
              WeightedError(weights, v.data(), moment, 1).value())
        << name;
  }
}

TEST(WeightedErrorTest, NoChangeIsNoError) {
  const std::vector<float> w = NormalNoise(kRows * kN, 2);
  EXPECT_EQ(WeightedError({w.data(), kRows, kN}, w.data(), MomentOf(0), 1).value(), 0);
}

}  // namespace
}  // namespace trimma::weighted_error_test
