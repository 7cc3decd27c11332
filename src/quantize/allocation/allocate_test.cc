#include "quantize/allocation/allocate.h"

#include <gtest/gtest.h>

#include <random>

namespace trimma::allocate_test {
namespace {

std::vector<TypeChoices> RandomTensors(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<uint64_t> bytes(1000, 9000);
  std::uniform_real_distribution<double> loss(0.001, 1);
  std::vector<TypeChoices> tensors(count);
  for (TypeChoices& choices : tensors) {
    for (int i = 0; i < 4; ++i)
      choices.push_back({tensor_type::kQ4_K, bytes(random), loss(random)});
  }
  return tensors;
}

// All combinations; nothing if none is within the budget.
double BestByTrying(const std::vector<TypeChoices>& tensors, uint64_t budget) {
  double best = 1e9;
  std::vector<size_t> at(tensors.size(), 0);
  while (true) {
    uint64_t bytes = 0;
    double loss = 0;
    for (size_t t = 0; t < tensors.size(); ++t)
      bytes += tensors[t][at[t]].bytes, loss += tensors[t][at[t]].loss;
    if (bytes <= budget) best = std::min(best, loss);
    size_t t = 0;
    while (t < at.size() && ++at[t] == tensors[t].size()) at[t++] = 0;
    if (t == at.size()) return best;
  }
}

TEST(AllocateTest, FindsTheLeastLossThatTryingEverythingFinds) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto tensors = RandomTensors(6, seed);
    for (const uint64_t budget : {16'000U, 25'000U, 40'000U, 60'000U}) {
      const double best = BestByTrying(tensors, budget);
      const auto allocation = AllocateWithin(tensors, budget);
      if (best > 1e8) {
        EXPECT_EQ(allocation.error().code, Code::kNoFit);
        continue;
      }
      ASSERT_TRUE(allocation.ok());
      EXPECT_LE(allocation->bytes, budget);
      EXPECT_NEAR(allocation->loss, best, 1e-12) << seed << " " << budget;
    }
  }
}

TEST(AllocateTest, TheChosenAddUpToTheSums) {
  const auto tensors = RandomTensors(40, 7);
  const auto allocation = AllocateWithin(tensors, 150'000);
  ASSERT_TRUE(allocation.ok());
  uint64_t bytes = 0;
  double loss = 0;
  for (size_t t = 0; t < tensors.size(); ++t) {
    bytes += tensors[t][allocation->chosen[t]].bytes;
    loss += tensors[t][allocation->chosen[t]].loss;
  }
  EXPECT_EQ(bytes, allocation->bytes);
  EXPECT_NEAR(loss, allocation->loss, 1e-12);
}

TEST(AllocateTest, LargeFilesAreRoundedUpAndTheRestIsSpent) {
  auto tensors = RandomTensors(300, 3);
  for (TypeChoices& choices : tensors) {
    for (TypeChoice& choice : choices) choice.bytes *= 1'000'003;
  }
  const uint64_t budget = 900'000'000'000;
  const auto allocation = AllocateWithin(tensors, budget);
  ASSERT_TRUE(allocation.ok());
  EXPECT_LE(allocation->bytes, budget);
  EXPECT_GT(allocation->bytes, budget / 1000 * 995);
}

TEST(AllocateTest, ABudgetBeyondTheBestTakesTheBest) {
  const std::vector<TypeChoices> tensors = {{{tensor_type::kQ8_0, 100, 0.0},
                                             {tensor_type::kQ4_K, 50, 0.5},
                                             {tensor_type::kQ6_K, 120, 0.1}}};
  const auto allocation = AllocateWithin(tensors, 1'000'000);
  ASSERT_TRUE(allocation.ok());
  EXPECT_EQ(allocation->chosen[0], 0);
  EXPECT_EQ(allocation->bytes, 100);
}

TEST(AllocateTest, SaysTheSmallestThatIsPossible) {
  const std::vector<TypeChoices> tensors = {{{tensor_type::kQ4_K, 2048, 0.5}}};
  const auto allocation = AllocateWithin(tensors, 2047);
  ASSERT_FALSE(allocation.ok());
  EXPECT_EQ(allocation.error().code, Code::kNoFit);
  EXPECT_NE(allocation.error().what.find("2.00 KiB is the least"), std::string::npos)
      << allocation.error().what;
}

TEST(AllocateTest, UnderALossTheFewestBytes) {
  const auto tensors = RandomTensors(6, 11);
  const auto generous = AllocateWithin(tensors, 40'000);
  ASSERT_TRUE(generous.ok());
  const auto allocation = AllocateUnderLoss(tensors, generous->loss);
  ASSERT_TRUE(allocation.ok());
  EXPECT_LE(allocation->loss, generous->loss);
  EXPECT_LE(allocation->bytes, generous->bytes);
  EXPECT_FALSE(AllocateWithin(tensors, allocation->bytes - 1)->loss <= generous->loss);
  EXPECT_EQ(AllocateUnderLoss(tensors, 1e-9).error().code, Code::kNoFit);
}

}  // namespace
}  // namespace trimma::allocate_test
