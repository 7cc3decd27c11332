#include "measure/quality_stop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace trimma::quality_stop_test {
namespace {

constexpr double kLimit = 0.05;
constexpr int kTrials = 1000;

// A pair of candidates whose chunks have most of their spread in common, as two quantisations of
// one model do.
class Simulation {
 public:
  Simulation(double mean_a, double mean_b, uint32_t seed)
      : mean_a_(mean_a), mean_b_(mean_b), random_(seed) {}

  void Chunk(std::vector<ChunkSums>& klds) {
    const double common = 0.4 * normal_(random_);
    for (size_t i = 0; i < klds.size(); ++i) {
      const double own = 0.15 * normal_(random_);
      const double centre = (0.4 * 0.4 + 0.15 * 0.15) / 2;
      klds[i].Add(255 * (i == 0 ? mean_a_ : mean_b_) * std::exp(common + own - centre), 255);
    }
  }

 private:
  double mean_a_;
  double mean_b_;
  std::mt19937 random_;
  std::normal_distribution<double> normal_{0, 1};
};

struct Outcome {
  std::vector<Decision> decisions;
  size_t chunks = 0;
};

Outcome Measure(const Questions& questions, Simulation& simulation, size_t candidates,
                size_t most) {
  Deciding deciding(questions);
  std::vector<ChunkSums> klds(candidates);
  while (klds[0].size() < most && !deciding.settled()) {
    simulation.Chunk(klds);
    deciding.Look(klds, false);
  }
  deciding.Look(klds, true);
  return {deciding.decisions(), klds[0].size()};
}

TEST(QualityStopTest, LooksAreHalfAsManyChunksApart) {
  std::vector<int> looks;
  for (int chunks = 0; chunks <= 100; ++chunks) {
    if (IsLook(chunks)) looks.push_back(chunks);
  }
  EXPECT_EQ(looks, (std::vector<int>{8, 12, 18, 27, 40, 60, 90}));
}

TEST(QualityStopTest, TheSharesOfAllLooksAddUpToFivePercent) {
  double spent = 1 - LookLevel(1, /*last=*/true);
  for (int look = 1; look < 10000; ++look) spent += 1 - LookLevel(look, /*last=*/false);
  EXPECT_LE(spent, 0.05 + 1e-12);
  EXPECT_GT(spent, 0.0499);
}

// The hardest case: the loss is exactly the limit, so that every answer is wrong on one side.
// Either side may be wrong in 1 of 20, and both together are that here.
TEST(QualityStopTest, AtTheLimitItselfHardlyAnyAnswerIsGiven) {
  Questions questions;
  questions.max_kld = kLimit;
  int answered = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Simulation simulation(kLimit, kLimit, static_cast<uint32_t>(trial));
    answered += Measure(questions, simulation, 1, 200).decisions[0].settled ? 1 : 0;
  }
  EXPECT_LE(answered, kTrials / 20);
}

// The rule matters: the same looks, each with a 95 % interval, go wrong far more often.
TEST(QualityStopTest, LookingAgainAndAgainWithoutARuleWouldBeWrong) {
  int excluded = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Simulation simulation(kLimit, kLimit, static_cast<uint32_t>(trial));
    std::vector<ChunkSums> klds(1);
    bool out = false;
    while (klds[0].size() < 200 && !out) {
      simulation.Chunk(klds);
      if (!IsLook(static_cast<int>(klds[0].size()))) continue;
      const MeanInterval mean = PositiveMean(klds[0]);
      out = mean.high < kLimit || mean.low > kLimit;
    }
    excluded += out ? 1 : 0;
  }
  EXPECT_GT(excluded, kTrials / 8);
}

TEST(QualityStopTest, OfTwoThatLoseAlikeNoneIsCalledBetter) {
  Questions questions;
  questions.better = true;
  int answered = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Simulation simulation(kLimit, kLimit, static_cast<uint32_t>(trial));
    answered += Measure(questions, simulation, 2, 200).decisions[0].settled ? 1 : 0;
  }
  EXPECT_LE(answered, kTrials / 20);
}

TEST(QualityStopTest, WhatIsPlainIsSettledEarly) {
  Questions questions;
  questions.max_kld = 0.2;
  questions.better = true;
  for (uint32_t trial = 0; trial < 100; ++trial) {
    Simulation simulation(0.05, 0.1, trial);
    const Outcome outcome = Measure(questions, simulation, 2, 400);
    EXPECT_LE(outcome.chunks, 40U);
    for (const Decision& decision : outcome.decisions) EXPECT_TRUE(decision.settled);
    EXPECT_EQ(outcome.decisions[0].answer, "below");
    EXPECT_EQ(outcome.decisions[2].candidate, 0U);
  }
}

TEST(QualityStopTest, AboveTheLimitIsSaid) {
  Questions questions;
  questions.max_kld = 0.01;
  Simulation simulation(0.05, 0, 1);
  const Outcome outcome = Measure(questions, simulation, 1, 400);
  EXPECT_EQ(outcome.decisions[0].answer, "above");
  EXPECT_GT(outcome.decisions[0].interval.low, 0.01);
}

TEST(QualityStopTest, AnAnswerStaysGiven) {
  Questions questions;
  questions.max_kld = 0.1;
  questions.precision = 0.001;  // never reached here, so that measuring goes on
  Deciding deciding(questions);
  std::vector<ChunkSums> klds(1);
  for (int i = 0; i < 8; ++i) klds[0].Add(0.05 + 0.001 * (i % 2), 1);
  deciding.Look(klds, false);
  ASSERT_EQ(deciding.decisions()[0].answer, "below");
  for (int i = 0; i < 4; ++i) klds[0].Add(0.5 + 0.1 * i, 1);
  deciding.Look(klds, false);
  EXPECT_EQ(deciding.decisions()[0].answer, "below");
  EXPECT_EQ(deciding.decisions()[0].looks, 1);
  EXPECT_FALSE(deciding.settled());
}

TEST(QualityStopTest, PrecisionSaysHowMuchMoreTextItTakes) {
  Questions questions;
  questions.precision = 0.05;
  Simulation simulation(0.05, 0, 1);
  const Outcome early = Measure(questions, simulation, 1, 20);
  ASSERT_FALSE(early.decisions[0].settled);
  const double needed = 20 + early.decisions[0].more_chunks;
  Simulation again(0.05, 0, 1);
  const Outcome enough = Measure(questions, again, 1, static_cast<size_t>(3 * needed));
  ASSERT_TRUE(enough.decisions[0].settled);
  EXPECT_LE(RelativePrecision(enough.decisions[0].interval), 0.05);
  EXPECT_GT(static_cast<double>(enough.chunks), needed / 3);
}

// Stopping when an interval happens to be narrow makes it hold a little less often.
TEST(QualityStopTest, IntervalsThatStoppedByPrecisionStillHold) {
  Questions questions;
  questions.precision = 0.1;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Simulation simulation(0.05, 0, static_cast<uint32_t>(trial));
    const Outcome outcome = Measure(questions, simulation, 1, 1000);
    const MeanInterval& mean = outcome.decisions[0].interval;
    held += mean.low <= 0.05 && 0.05 <= mean.high ? 1 : 0;
  }
  EXPECT_GE(held, kTrials * 93 / 100);
}

TEST(QualityStopTest, TwoThatAreEqualNeverCallForMoreText) {
  ChunkSums chunks;
  for (int i = 0; i < 10; ++i) chunks.Add(1 + i % 3, 10);
  Questions questions;
  questions.better = true;
  const auto decisions = Decide(questions, {chunks, chunks}, 1, true);
  ASSERT_EQ(decisions.size(), 1U);
  EXPECT_FALSE(decisions[0].settled);
  EXPECT_EQ(decisions[0].interval.mean, 1);
}

TEST(QualityStopTest, JsonRoundTrip) {
  Decision decision;
  decision.question = "max_kld";
  decision.candidate = 2;
  decision.settled = true;
  decision.answer = "above";
  decision.interval = {0.2, 0.1, 0.3};
  decision.looks = 3;
  decision.more_chunks = INFINITY;
  EXPECT_EQ(ToJson(DecisionFromJson(ToJson(decision))), ToJson(decision));
}

}  // namespace
}  // namespace trimma::quality_stop_test
