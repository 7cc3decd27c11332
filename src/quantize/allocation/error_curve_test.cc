#include "quantize/allocation/error_curve.h"

#include <gtest/gtest.h>

#include "quantize/rounding/test_matrices.h"

namespace trimma::error_curve_test {
namespace {

constexpr uint64_t kColumns = 256;
constexpr uint64_t kRows = 32;
constexpr uint64_t kTokens = 1024;

SecondMoment MomentOf(const std::vector<float>& x) {
  SecondMoment moment(kColumns);
  EXPECT_TRUE(moment.Add(x.data(), x.size() / kColumns, 1).ok());
  return moment;
}

double ShareOn(const SecondMoment& seen, const SecondMoment& held_out) {
  const std::vector<float> weights = NormalNoise(kRows * kColumns, 3);
  const auto compensation = Compensation::Prepare(seen, 1);
  EXPECT_TRUE(compensation.ok());
  const auto share = CompensatedShare({weights.data(), kRows, kColumns}, tensor_type::kQ4_K,
                                      *compensation, held_out, 1);
  EXPECT_TRUE(share.ok());
  return share.value();
}

TEST(CompensatedShareTest, CorrelatedInputsLeaveLess) {
  const SecondMoment seen = MomentOf(CorrelatedInputs(kTokens, kColumns, 1));
  const SecondMoment held_out = MomentOf(CorrelatedInputs(kTokens, kColumns, 11));
  const double share = ShareOn(seen, held_out);
  EXPECT_GT(share, 0);
  EXPECT_LT(share, 0.95);
}

TEST(CompensatedShareTest, IsOneWhereCompensationDoesNotHoldOnOtherInputs) {
  const SecondMoment seen = MomentOf(CorrelatedInputs(kTokens, kColumns, 1));
  const SecondMoment other = MomentOf(NormalNoise(kTokens * kColumns, 5));
  EXPECT_EQ(ShareOn(seen, other), 1);
}

TEST(CompensatedShareTest, IsOneWithoutInputs) {
  const SecondMoment nothing(kColumns);
  const SecondMoment held_out = MomentOf(CorrelatedInputs(kTokens, kColumns, 11));
  EXPECT_EQ(ShareOn(nothing, held_out), 1);
}

}  // namespace
}  // namespace trimma::error_curve_test
