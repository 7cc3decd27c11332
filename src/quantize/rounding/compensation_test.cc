#include "quantize/rounding/compensation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quantize/rounding/test_matrices.h"

namespace trimma::compensation_test {
namespace {

constexpr uint64_t kN = 320;

SecondMoment MomentOf(const std::vector<float>& x, uint64_t block = 0) {
  SecondMoment moment(kN, block);
  EXPECT_TRUE(moment.Add(x.data(), x.size() / kN, 1).ok());
  return moment;
}

TEST(CompensationTest, TheFactorIsOfTheDampedMomentOverItsMeanDiagonal) {
  const SecondMoment moment = MomentOf(CorrelatedInputs(600, kN, 1));
  const Result<Compensation> c = Compensation::Prepare(moment, 1);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->damping().mean, 0.01);
  double mean = 0;
  for (const float d : moment.Diagonal()) mean += d / double{kN};
  for (uint64_t j = 0; j < kN; ++j)
    EXPECT_NEAR(c->added()[j] / (0.2 * moment.Diagonal()[j] + 0.01 * mean), 1, 1e-5);
  for (uint64_t i = 0; i < kN; i += 3) {
    for (uint64_t j = i; j < kN; j += 5) {
      double product = 0;
      for (uint64_t k = j; k < kN; ++k)
        product +=
            double{c->Factor(0)[i * moment.stride() + k]} * c->Factor(0)[j * moment.stride() + k];
      const double expected =
          (moment.Matrix(0)[i * moment.stride() + j] + (i == j ? c->added()[i] : 0)) / mean;
      ASSERT_NEAR(product, expected, 1e-4 * c->importance()[i] + 1e-4);
    }
  }
}

TEST(CompensationTest, InversesBelongToTheBlocksOnTheDiagonal) {
  const SecondMoment moment = MomentOf(CorrelatedInputs(600, kN, 1));
  const Result<Compensation> c = Compensation::Prepare(moment, 1);
  ASSERT_TRUE(c.ok());
  for (uint64_t j = 0; j < kN; ++j) {
    const uint64_t first = j / 256 * 256;
    EXPECT_NEAR(c->Inverse(0, first)[(j - first) * 257] * c->Factor(0)[j * (moment.stride() + 1)],
                1, 1e-5);
  }
}

TEST(CompensationTest, FewTokensAndDeadInputsNeedNoMoreThanTheDamping) {
  std::vector<float> x = CorrelatedInputs(3, kN, 1);
  for (uint64_t t = 0; t < 3; ++t) x[t * kN + 17] = 0;
  const SecondMoment moment = MomentOf(x);
  const Result<Compensation> c = Compensation::Prepare(moment, 1);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->damping().mean, 0.01);
  EXPECT_EQ(c->importance()[17], 0.01F);
}

TEST(CompensationTest, DampingIsRaisedWhereItMustBe) {
  SecondMoment moment = MomentOf(CorrelatedInputs(600, kN, 1));
  moment.MutableMatrix(0)[5 * moment.stride() + 5] *= -0.1F;
  const Result<Compensation> c = Compensation::Prepare(moment, 1);
  ASSERT_TRUE(c.ok());
  EXPECT_GT(c->damping().mean, 0.05);
  EXPECT_TRUE(c->damping_was_raised());
}

TEST(CompensationTest, NothingSeenIsNothingToCompensate) {
  const SecondMoment moment(kN);
  const Result<Compensation> c = Compensation::Prepare(moment, 1);
  ASSERT_TRUE(c.ok());
  EXPECT_TRUE(c->is_zero());
}

TEST(CompensationTest, AMomentThatIsNotFiniteIsRefused) {
  std::vector<float> x = CorrelatedInputs(10, kN, 1);
  x[5] = std::numeric_limits<float>::infinity();
  const SecondMoment moment = MomentOf(x);
  const Result<Compensation> c = Compensation::Prepare(moment, 1);
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(c.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace trimma::compensation_test
