#include "engine/sampling.h"

#include <gtest/gtest.h>

#include <cmath>

namespace trimma::sampling_test {
namespace {

// Chances 1/2, 1/4, 1/8, ...
std::vector<float> Halving(int n) {
  std::vector<float> logits;
  for (int i = 0; i < n; ++i) logits.push_back(static_cast<float>(-i * std::log(2.0)));
  return logits;
}

std::vector<TokenChance> Left(const std::vector<Sampler>& order, const SamplerSettings& settings) {
  const std::vector<float> logits = Halving(20);
  return SamplerChain(order, settings).Distribution(logits.data(), 20);
}

TEST(SamplerChainTest, EachSamplerDoesWhatItsNameSays) {
  EXPECT_EQ(Left({Sampler::kTopK}, {.top_k = 3}).size(), 3);
  EXPECT_EQ(Left({Sampler::kTopP}, {.top_p = 0.74}).size(), 2);
  EXPECT_EQ(Left({Sampler::kMinP}, {.min_p = 0.2}).size(), 3);
  const auto cold = Left({Sampler::kTemperature}, {.temperature = 0.5});
  EXPECT_NEAR(cold[1].chance / cold[0].chance, 0.25, 1e-6);
}

TEST(SamplerChainTest, ChancesAddUpToOne) {
  double sum = 0;
  for (const TokenChance& chance : Left({Sampler::kTopK}, {.top_k = 5})) sum += chance.chance;
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(SamplerChainTest, OrderMattersWhereTemperatureMovesTheCut) {
  const SamplerSettings settings = {.top_p = 0.9, .temperature = 0.3};
  const auto before = Left({Sampler::kTopP, Sampler::kTemperature}, settings);
  const auto after = Left({Sampler::kTemperature, Sampler::kTopP}, settings);
  EXPECT_GT(before.size(), after.size());
  EXPECT_GT(LargestDifference(before, after), 0.01);
}

TEST(SamplerChainTest, TopKMayStandAnywhereBesideTemperature) {
  const SamplerSettings settings = {.top_k = 4, .temperature = 0.3};
  EXPECT_LT(LargestDifference(Left({Sampler::kTopK, Sampler::kTemperature}, settings),
                              Left({Sampler::kTemperature, Sampler::kTopK}, settings)),
            1e-6);
}

TEST(SamplerChainTest, DrawsOnlyWhatIsLeft) {
  const std::vector<float> logits = Halving(300);
  SamplerChain chain({Sampler::kTopK}, {.top_k = 2});
  for (int i = 0; i < 50; ++i) EXPECT_LE(chain.Draw(logits.data(), 300), 1);
}

TEST(SamplerChainTest, NeutralSamplersAreLeftOut) {
  EXPECT_TRUE(ActiveSamplers({}).empty());
  EXPECT_EQ(ActiveSamplers({40, 0.8, 0.05, 0.3}),
            (std::vector<Sampler>{Sampler::kTopK, Sampler::kTopP, Sampler::kMinP,
                                  Sampler::kTemperature}));
}

TEST(LargestDifferenceTest, CountsTokensThatOneSideLacks) {
  EXPECT_DOUBLE_EQ(LargestDifference({{1, 0.5}, {2, 0.5}}, {{2, 0.6}, {7, 0.4}}), 0.5);
  EXPECT_DOUBLE_EQ(LargestDifference({{1, 1}}, {{1, 1}}), 0);
  EXPECT_DOUBLE_EQ(LargestDifference({}, {{3, 1}}), 1);
}

}  // namespace
}  // namespace trimma::sampling_test
