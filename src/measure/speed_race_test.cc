#include "measure/speed_race.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace trimma::speed_race_test {
namespace {

// A machine in the computer: figures of candidates with true log gains, under noise.
struct Noise {
  double common = 0;       // of a whole round
  double own = 0;          // of each measurement
  double disturbance = 0;  // chance that another process doubles a time
};

struct Outcome {
  size_t leader = 0;
  int measurements = 0;
  bool decided = false;
  bool best_is_left = true;
};

Outcome RunRace(const std::vector<double>& truth, const Noise& noise, int rounds, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::uniform_real_distribution<double> uniform(0, 1);
  Race race(truth.size(), {});
  Outcome outcome;
  for (int round = 0; round < rounds && !race.Decided(); ++round) {
    const double common = noise.common * normal(random);
    for (size_t i = 1; i < truth.size(); ++i) {
      if (!race.IsLeft(i)) continue;
      double figure = truth[i] + common + noise.own * normal(random);
      if (uniform(random) < noise.disturbance) figure -= std::log(2.0);
      if (uniform(random) < noise.disturbance) figure += std::log(2.0);  // the anchor's
      race.Record(i, figure);
      ++outcome.measurements;
    }
    race.EndRound();
  }
  const auto best = std::max_element(truth.begin(), truth.end()) - truth.begin();
  outcome.leader = race.Leader();
  outcome.decided = race.Decided();
  outcome.best_is_left = race.IsLeft(static_cast<size_t>(best));
  return outcome;
}

// Of 400 races, how many eliminated the one best candidate.
int WrongOf400(const std::vector<double>& truth, const Noise& noise) {
  int wrong = 0;
  for (unsigned seed = 0; seed < 400; ++seed)
    wrong += RunRace(truth, noise, 24, seed).best_is_left ? 0 : 1;
  return wrong;
}

TEST(RaceTest, TheBestIsHardlyEverEliminated) {
  // The best leads by just what is felt. 5 % of 400 are 20; the bound is not used up.
  const std::vector<double> truth = {0, 0.02, 0.01, 0.0, -0.05, 0.01, -0.3, 0.005};
  EXPECT_LE(WrongOf400(truth, {0.01, 0.01, 0}), 20);
  EXPECT_LE(WrongOf400(truth, {0.00, 0.05, 0}), 20);
  EXPECT_LE(WrongOf400(truth, {0.02, 0.01, 0.05}), 20);
}

TEST(RaceTest, ADefaultThatIsBestIsHardlyEverEliminated) {
  EXPECT_LE(WrongOf400(std::vector<double>{0, -0.01, -0.01, -0.01, -0.01, -0.01, -0.01, -0.01},
                       {0.0, 0.02, 0}),
            20);
}

TEST(RaceTest, TheClearlySlowerAreLeftOutAtTheFirstLook) {
  Race race(3, {});
  for (int round = 0; round < 3; ++round) {
    race.Record(1, -0.5 + 0.001 * round);
    race.Record(2, 0.3 + 0.001 * round);
    EXPECT_TRUE(race.IsLeft(1));
    race.EndRound();
  }
  EXPECT_FALSE(race.IsLeft(1));
  EXPECT_FALSE(race.IsLeft(0)) << "the anchor is beaten too";
  EXPECT_EQ(race.Leader(), 2U);
  EXPECT_TRUE(race.Decided());
  EXPECT_EQ(race.Undecided(), 0);
}

TEST(RaceTest, TimeGoesToTheUndecided) {
  std::vector<double> truth(20, -0.2);
  truth[7] = 0.05;
  const Outcome outcome = RunRace(truth, {0.01, 0.01, 0}, 64, 1);
  EXPECT_EQ(outcome.leader, 7U);
  EXPECT_TRUE(outcome.decided);
  EXPECT_LT(outcome.measurements, 19 * 8);
}

TEST(RaceTest, WhatMissedARoundIsComparedInTheOthers) {
  Race race(3, {});
  for (int round = 0; round < 12; ++round) {
    const double slow_round = round % 2 == 0 ? -0.7 : 0.7;  // both together
    race.Record(1, 0.10 + slow_round + 0.0005 * (round % 2));
    if (round % 4 < 2) race.Record(2, 0.05 + slow_round);
    race.EndRound();
  }
  EXPECT_EQ(race.Leader(), 1U);
  EXPECT_FALSE(race.IsLeft(2));
}

TEST(RaceTest, WhatCannotRunIsNotTheBest) {
  Race race(2, {});
  race.Withdraw(1);
  EXPECT_TRUE(race.Decided());
  EXPECT_EQ(race.Leader(), 0U);
  EXPECT_EQ(race.Undecided(), 0);
}

TEST(RaceTest, UnderHeavyNoiseItStaysUndecidedAndSaysHowMuch) {
  Race race(3, {});
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0, 0.5);
  for (int round = 0; round < 8; ++round) {
    race.Record(1, normal(random));
    race.Record(2, normal(random));
    race.EndRound();
  }
  EXPECT_FALSE(race.Decided());
  EXPECT_GT(race.Undecided(), 0.1);
}

}  // namespace
}  // namespace trimma::speed_race_test
