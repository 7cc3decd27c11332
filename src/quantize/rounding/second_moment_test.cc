#include "quantize/rounding/second_moment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "quantize/rounding/test_matrices.h"

namespace trimma::second_moment_test {
namespace {

constexpr uint64_t kN = 416;
constexpr uint64_t kTokens = 300;

double Exact(const std::vector<float>& x, uint64_t i, uint64_t j) {
  double sum = 0;
  for (uint64_t t = 0; t < kTokens; ++t) sum += double{x[t * kN + i]} * x[t * kN + j];
  return sum;
}

SecondMoment Seen(const std::vector<float>& x, uint64_t block, int threads) {
  SecondMoment moment(kN, block);
  EXPECT_TRUE(moment.Add(x.data(), kTokens, threads).ok());
  return moment;
}

bool SameBytes(const SecondMoment& a, const SecondMoment& b) {
  return std::memcmp(a.Matrix(0), b.Matrix(0), a.n() * a.stride() * sizeof(float)) == 0;
}

TEST(SecondMomentTest, SumsProductsAndIsSymmetric) {
  const std::vector<float> x = NormalNoise(kTokens * kN, 1);
  const SecondMoment moment = Seen(x, 0, 1);
  EXPECT_EQ(moment.tokens(), kTokens);
  EXPECT_EQ(moment.blocks(), 1U);
  const std::vector<float> diagonal = moment.Diagonal();
  for (uint64_t i = 0; i < kN; ++i) {
    EXPECT_EQ(diagonal[i], moment.Matrix(0)[i * moment.stride() + i]);
    for (uint64_t j = 0; j < kN; j += 7) {
      ASSERT_NEAR(moment.Matrix(0)[i * moment.stride() + j], Exact(x, i, j), 1e-3);
      ASSERT_EQ(moment.Matrix(0)[i * moment.stride() + j],
                moment.Matrix(0)[j * moment.stride() + i]);
    }
  }
}

TEST(SecondMomentTest, ADiagonalOfBlocksIsCutOutOfTheWhole) {
  const std::vector<float> x = NormalNoise(kTokens * kN, 1);
  const SecondMoment whole = Seen(x, 0, 1);
  const SecondMoment blocks = Seen(x, 32, 1);
  ASSERT_EQ(blocks.blocks(), kN / 32);
  EXPECT_EQ(blocks.Diagonal(), whole.Diagonal());
  for (uint64_t b = 0; b < blocks.blocks(); ++b) {
    for (uint64_t i = 0; i < 32; ++i) {
      for (uint64_t j = 0; j < 32; ++j) {
        ASSERT_FLOAT_EQ(blocks.Matrix(b)[i * blocks.stride() + j],
                        whole.Matrix(0)[(32 * b + i) * whole.stride() + 32 * b + j]);
      }
    }
  }
}

TEST(SecondMomentTest, TheNumberOfThreadsChangesNoByte) {
  const std::vector<float> x = CorrelatedInputs(kTokens, kN, 1);
  for (const uint64_t block : {0, 32}) {
    for (const int threads : {2, 5})
      EXPECT_TRUE(SameBytes(Seen(x, block, 1), Seen(x, block, threads))) << block;
  }
}

TEST(SecondMomentDeathTest, BlocksMustDivideTheInput) {
  EXPECT_DEATH(SecondMoment(100, 32), "internal error");
  EXPECT_DEATH(SecondMoment(0), "internal error");
}

}  // namespace
}  // namespace trimma::second_moment_test
