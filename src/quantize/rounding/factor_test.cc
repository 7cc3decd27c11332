#include "quantize/rounding/factor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quantize/rounding/test_matrices.h"

namespace trimma::factor_test {
namespace {

// x^T x + a little on the diagonal.
std::vector<float> PositiveDefinite(uint64_t n, uint64_t stride) {
  const std::vector<float> x = NormalNoise(2 * n * n, 5);
  std::vector<float> h(n * stride);
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = 0; j < n; ++j) {
      double sum = i == j ? 0.1 : 0;
      for (uint64_t t = 0; t < 2 * n; ++t) sum += double{x[t * n + i]} * x[t * n + j];
      h[i * stride + j] = static_cast<float>(sum / static_cast<double>(n));
    }
  }
  return h;
}

TEST(FactorTest, TheProductIsTheMatrix) {
  for (const uint64_t n : {1, 5, 64, 65, 200, 256, 300}) {
    const uint64_t stride = n + 4;
    const std::vector<float> h = PositiveDefinite(n, stride);
    std::vector<float> m = h;
    const Result<bool> done = FactorFromTheEnd({m.data(), n, stride}, 1);
    ASSERT_TRUE(done.ok());
    ASSERT_TRUE(done.value());
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t j = 0; j < n; ++j) {
        double product = 0;
        for (uint64_t k = 0; k < n; ++k) product += double{m[i * stride + k]} * m[j * stride + k];
        ASSERT_NEAR(product, h[i * stride + j], 1e-5) << n << ": " << i << " " << j;
        if (j < i) {
          ASSERT_EQ(m[i * stride + j], 0) << n << ": " << i << " " << j;
        }
      }
    }
  }
}

TEST(FactorTest, TheNumberOfThreadsChangesNoByte) {
  std::vector<float> one = PositiveDefinite(500, 512);
  std::vector<float> three = one;
  ASSERT_TRUE(FactorFromTheEnd({one.data(), 500, 512}, 1).ok());
  ASSERT_TRUE(FactorFromTheEnd({three.data(), 500, 512}, 3).ok());
  EXPECT_EQ(one, three);
}

TEST(FactorTest, OnlyPositiveDefiniteMatricesHaveOne) {
  for (const float bad : {0.0F, -1.0F, NAN, INFINITY}) {
    std::vector<float> h = PositiveDefinite(100, 100);
    h[30 * 101] = bad;
    const Result<bool> done = FactorFromTheEnd({h.data(), 100, 100}, 1);
    ASSERT_TRUE(done.ok());
    EXPECT_FALSE(done.value()) << bad;
  }
}

TEST(FactorTest, TheInverseOfATriangle) {
  constexpr uint64_t kN = 90;
  std::vector<float> m = PositiveDefinite(kN, kN);
  ASSERT_TRUE(FactorFromTheEnd({m.data(), kN, kN}, 1).ok());
  std::vector<float> inverse(kN * kN, NAN);
  InvertUpper({m.data(), kN, kN}, {inverse.data(), kN, kN});
  for (uint64_t i = 0; i < kN; ++i) {
    for (uint64_t j = 0; j < kN; ++j) {
      double product = 0;
      for (uint64_t k = 0; k < kN; ++k) product += double{m[i * kN + k]} * inverse[k * kN + j];
      ASSERT_NEAR(product, i == j ? 1 : 0, 1e-4);
    }
  }
}

}  // namespace
}  // namespace trimma::factor_test
