#include "base/divergence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace trimma::divergence_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
using Logits = std::vector<float>;

// log softmax in 80 bits, straight from the definition.
std::vector<long double> LogSoftmax(const Logits& logits) {
  const long double max = *std::max_element(logits.begin(), logits.end());
  long double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<long double>(l) - max);
  std::vector<long double> logs;
  for (const float l : logits) logs.push_back(l - max - std::log(sum));
  return logs;
}

struct Naive {
  long double kld = 0;
  long double nll = 0;
  long double reference_nll = 0;
};

Naive NaiveScore(const Logits& reference, const Logits& model, int next) {
  const auto p = LogSoftmax(reference);
  const auto q = LogSoftmax(model);
  Naive naive;
  for (size_t i = 0; i < p.size(); ++i) {
    const long double share = std::exp(p[i]);
    if (share > 0) naive.kld += share * (p[i] - q[i]);
  }
  naive.nll = -q[static_cast<size_t>(next)];
  naive.reference_nll = -p[static_cast<size_t>(next)];
  return naive;
}

PositionScore Score(const Logits& reference, const Logits& model, int next = 0) {
  return ScorePosition(reference.data(), model.data(), static_cast<int>(reference.size()), next);
}

Logits RandomLogits(size_t n, float deviation, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 1);
  Logits logits(n);
  for (float& l : logits) l = deviation * normal(random);
  return logits;
}

TEST(DivergenceTest, EqualsTheDefinitionOnRandomLogits) {
  std::mt19937 random(1);
  for (const size_t vocabulary : {7U, 1000U}) {
    for (const float deviation : {0.1F, 2.0F, 10.0F}) {
      for (int trial = 0; trial < 50; ++trial) {
        const Logits reference = RandomLogits(vocabulary, deviation, random);
        const Logits model = RandomLogits(vocabulary, deviation, random);
        const int next = static_cast<int>(random() % vocabulary);
        const PositionScore score = Score(reference, model, next);
        const Naive naive = NaiveScore(reference, model, next);
        const auto near = [](long double value) {
          return 2e-6 * std::max(1.0, static_cast<double>(value));
        };
        EXPECT_NEAR(score.kld, static_cast<double>(naive.kld), near(naive.kld));
        EXPECT_NEAR(score.nll, static_cast<double>(naive.nll), near(naive.nll));
        EXPECT_NEAR(score.reference_nll, static_cast<double>(naive.reference_nll),
                    near(naive.reference_nll));
      }
    }
  }
}

// What matters for an 8-bit model: divergences of a thousandth and less.
TEST(DivergenceTest, SmallDivergencesKeepTheirDigits) {
  std::mt19937 random(2);
  for (const float noise : {0.1F, 0.01F, 0.001F}) {
    const Logits reference = RandomLogits(1000, 3, random);
    Logits model = reference;
    for (float& l : model) l += RandomLogits(1, noise, random)[0];
    const auto naive = static_cast<double>(NaiveScore(reference, model, 0).kld);
    ASSERT_GT(naive, 0);
    EXPECT_NEAR(Score(reference, model).kld, naive, 1e-3 * naive + 3e-8) << noise;
  }
}

TEST(DivergenceTest, AModelDoesNotDivergeFromItself) {
  std::mt19937 random(3);
  for (const float deviation : {0.0F, 1.0F, 30.0F, 1e5F}) {
    const Logits logits = RandomLogits(1000, deviation, random);
    const PositionScore score = Score(logits, logits, 5);
    EXPECT_EQ(score.kld, 0) << deviation;
    EXPECT_TRUE(score.same_top);
    EXPECT_EQ(score.nll, score.reference_nll);
  }
}

TEST(DivergenceTest, AShiftOfAllLogitsChangesNothing) {
  const Logits reference = {1, 2, 3, 4};
  const Logits shifted = {101, 102, 103, 104};
  EXPECT_NEAR(Score(reference, shifted).kld, 0, 1e-12);
}

TEST(DivergenceTest, DivergenceIsNeverNegative) {
  std::mt19937 random(4);
  for (int trial = 0; trial < 200; ++trial) {
    const Logits reference = RandomLogits(50, 5, random);
    Logits model = reference;
    model[trial % 50] = std::nextafter(model[trial % 50], kInfinity);
    EXPECT_GE(Score(reference, model).kld, 0);
  }
}

TEST(DivergenceTest, HugeLogitsOverflowNothing) {
  const Logits reference = {1e30F, 0, -1e30F};
  const Logits model = {1e30F, 0, -1e30F};
  const PositionScore same = Score(reference, model);
  EXPECT_EQ(same.kld, 0);
  EXPECT_EQ(same.nll, 0);
  const PositionScore other = Score({3e4F, 0}, {0, 3e4F});
  EXPECT_NEAR(other.kld, 3e4, 1);
  EXPECT_FALSE(other.same_top);
}

TEST(DivergenceTest, AWordThatTheReferenceRulesOutCostsNothing) {
  const PositionScore score = Score({1, -kInfinity, 2}, {1, 0, 2}, 2);
  const auto q = LogSoftmax({1, 0, 2});
  const auto p = LogSoftmax({1, -kInfinity, 2});
  double expected = 0;
  for (const size_t i : {0, 2}) expected += static_cast<double>(std::exp(p[i]) * (p[i] - q[i]));
  EXPECT_NEAR(score.kld, expected, 1e-6);
}

TEST(DivergenceTest, AWordThatBothRuleOutIsNoNumberToStumbleOver) {
  const PositionScore score = Score({1, -kInfinity, 2}, {1, -kInfinity, 2}, 2);
  EXPECT_EQ(score.kld, 0);
  EXPECT_TRUE(std::isfinite(score.nll));
}

// By the definition: the reference may say what the model never would.
TEST(DivergenceTest, AWordThatOnlyTheModelRulesOutIsInfinitelyFar) {
  const PositionScore score = Score({1, 0, 2}, {1, -kInfinity, 2}, 1);
  EXPECT_EQ(score.kld, std::numeric_limits<double>::infinity());
  EXPECT_EQ(score.nll, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isfinite(score.reference_nll));
}

TEST(DivergenceTest, TiesAreWonByTheFirst) {
  EXPECT_TRUE(Score({2, 2, 1}, {2, 2, 1}).same_top);
  EXPECT_TRUE(Score({2, 2, 1}, {5, 1, 1}).same_top);
  EXPECT_FALSE(Score({2, 2, 1}, {1, 5, 1}).same_top);
}

// Every length of the rest behind whole vectors, and the vocabulary of Gemma.
TEST(DivergenceTest, VectorsScoreAsThePlainLoopDoes) {
  std::mt19937 random(7);
  std::vector<size_t> vocabularies = {32000, 262144};
  for (size_t n = 1; n <= 70; ++n) vocabularies.push_back(n);
  for (const size_t vocabulary : vocabularies) {
    for (const float noise : {0.01F, 1.0F}) {
      Logits reference = RandomLogits(vocabulary, 3, random);
      Logits model = reference;
      for (float& l : model) l += RandomLogits(1, noise, random)[0];
      if (vocabulary % 3 == 0) reference[vocabulary / 2] = -kInfinity;
      const int next = static_cast<int>(random() % vocabulary);
      const auto n = static_cast<int>(vocabulary);
      const PositionScore fast = Score(reference, model, next);
      const PositionScore plain = ScorePositionPlainly(reference.data(), model.data(), n, next);
      EXPECT_NEAR(fast.kld, plain.kld, 1e-4 * plain.kld + 3e-8) << vocabulary;
      EXPECT_EQ(fast.same_top, plain.same_top) << vocabulary;
      if (!std::isfinite(plain.reference_nll)) continue;
      EXPECT_NEAR(fast.nll, plain.nll, 2e-6) << vocabulary;
      EXPECT_NEAR(fast.reference_nll, plain.reference_nll, 2e-6) << vocabulary;
    }
  }
}

// A damaged model's: it may not pass for a good one.
TEST(DivergenceTest, ALogitThatIsNoNumberSpoilsTheScore) {
  for (const size_t vocabulary : {3U, 16U, 21U, 1000U}) {
    for (const size_t at : {size_t{0}, vocabulary / 2, vocabulary - 1}) {
      Logits good(vocabulary, 1);
      Logits bad = good;
      bad[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(std::isfinite(Score(good, bad).nll)) << vocabulary << " " << at;
      EXPECT_FALSE(std::isfinite(Score(bad, good).reference_nll)) << vocabulary << " " << at;
    }
  }
}

TEST(DivergenceTest, ATokenOutsideTheVocabularyIsABug) {
  const Logits logits = {1, 2};
  EXPECT_DEATH((void)ScorePosition(logits.data(), logits.data(), 2, 2), "next_token");
  EXPECT_DEATH((void)ScorePosition(logits.data(), logits.data(), 2, -1), "next_token");
}

PositionScore Scored(double kld, double nll, double reference_nll, bool same) {
  return {kld, nll, reference_nll, same};
}

TEST(DivergenceSumsTest, AverageOverPositionsNotChunks) {
  DivergenceSums sums;
  sums.AddChunk({Scored(0.1, 1, 0.5, true), Scored(0.3, 3, 1.5, false)});
  sums.AddChunk({Scored(0.8, 2, 1.0, true)});
  EXPECT_EQ(sums.tokens(), 3);
  EXPECT_EQ(sums.chunks(), 2);
  EXPECT_DOUBLE_EQ(sums.MeanKld().mean, 0.4);
  EXPECT_DOUBLE_EQ(sums.SameTop(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(sums.Perplexity(), std::exp(2.0));
  EXPECT_DOUBLE_EQ(sums.ReferencePerplexity(), std::exp(1.0));
  EXPECT_DOUBLE_EQ(sums.PerplexityRatio().mean, std::exp(1.0));
  EXPECT_DOUBLE_EQ(sums.KldQuantile(0.5), 0.3);
  EXPECT_DOUBLE_EQ(sums.KldQuantile(1), 0.8);
}

TEST(DivergenceSumsTest, TheIntervalEnclosesTheMean) {
  std::mt19937 random(6);
  std::exponential_distribution<double> kld(100);
  DivergenceSums sums;
  for (int chunk = 0; chunk < 20; ++chunk) {
    std::vector<PositionScore> scores;
    for (int i = 0; i < 50; ++i) scores.push_back(Scored(kld(random), 1, 1, true));
    sums.AddChunk(scores);
  }
  const MeanInterval mean = sums.MeanKld();
  EXPECT_LT(mean.low, mean.mean);
  EXPECT_GT(mean.high, mean.mean);
  EXPECT_NEAR(mean.mean, 0.01, 0.002);
  EXPECT_LT(mean.high - mean.low, 0.003);
}

}  // namespace
}  // namespace trimma::divergence_test
