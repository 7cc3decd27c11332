#include "quantize/rounding/outer_products.h"

#include <gtest/gtest.h>

#include "quantize/rounding/test_matrices.h"

namespace trimma::outer_products_test {
namespace {

struct Size {
  uint64_t m, n, k;
};

TEST(OuterProductsTest, AgreesWithThePlainLoops) {
  for (const auto& [m, n, k] : {Size{1, 1, 1},
                                {6, 64, 8},
                                {7, 65, 3},
                                {70, 33, 130},
                                {192, 192, 256},
                                {67, 128, 129},
                                {5, 200, 0}}) {
    const std::vector<float> a = NormalNoise(k * (m + 3), 1);
    const std::vector<float> b = NormalNoise(k * (n + 1), 2);
    std::vector<float> c = NormalNoise(m * (n + 2), 3);
    const std::vector<float> before = c;
    OuterProducts product;
    product.a = a.data();
    product.a_stride = m + 3;
    product.b = b.data();
    product.b_stride = n + 1;
    product.c = c.data();
    product.c_stride = n + 2;
    product.m = m;
    product.n = n;
    product.k = k;
    product.factor = -2;
    AddOuterProducts(product);
    for (uint64_t i = 0; i < m; ++i) {
      for (uint64_t j = 0; j < n + 2; ++j) {
        double expected = before[i * (n + 2) + j];
        for (uint64_t t = 0; j < n && t < k; ++t)
          expected -= 2.0 * a[t * (m + 3) + i] * b[t * (n + 1) + j];
        ASSERT_NEAR(c[i * (n + 2) + j], expected, 2e-4) << m << " " << n << " " << k;
      }
    }
  }
}

}  // namespace
}  // namespace trimma::outer_products_test
