#include "llama_server/race.h"

#include <gtest/gtest.h>

#include <cmath>

namespace trimma::race_test {
namespace {

std::vector<SpeedSubject> Subjects() {
  return {{"m", {}, Phases::kBoth},
          {"m", {}, Phases::kPrefill},
          {"m", {}, Phases::kDecode},
          {"m", {}, Phases::kBoth}};
}

StartFigures Figures(double prefill, double decode) { return {1, {prefill}, {decode}, {1}}; }

TEST(ServerRaceTest, AGainIsOfTheCandidatesOwnPhases) {
  SpeedOptions options;
  options.prompt_tokens = 100;
  options.decode_tokens = 10;
  options.exchange.answer_tokens = 50;
  const ServerRace race(Subjects(), options);
  const StartFigures anchor = Figures(100, 10);  // 1 s and 5 s
  const StartFigures other = Figures(200, 20);
  EXPECT_DOUBLE_EQ(*race.LogGain(1, anchor, other), std::log(2));
  EXPECT_DOUBLE_EQ(*race.LogGain(2, anchor, other), std::log(2));
  EXPECT_DOUBLE_EQ(*race.LogGain(3, anchor, Figures(100, 50)), std::log(6.0 / 2));
  EXPECT_FALSE(race.LogGain(3, anchor, {1, {100}, {}, {}})) << "it has no decoding";
}

TEST(ServerRaceTest, WhoIsSlowerIsLeftOut) {
  SpeedOptions options;
  ServerRace race(Subjects(), options);
  for (int round = 0; round < 12 && !race.Decided(); ++round) {
    const double noise = 0.001 * (round % 3);
    race.Record(1, 0.3 + noise);
    race.Record(2, -0.3 + noise);
    race.Record(3, -0.2 + noise);
    race.EndRound();
  }
  EXPECT_TRUE(race.Decided());
  EXPECT_TRUE(race.IsLeft(0)) << "the anchor";
  EXPECT_TRUE(race.IsLeft(1));
  EXPECT_FALSE(race.IsLeft(2));
  EXPECT_FALSE(race.IsLeft(3));
}

TEST(ServerRaceTest, WhoCannotRunIsOut) {
  ServerRace race(Subjects(), {});
  race.Withdraw(1);
  race.Withdraw(2);
  EXPECT_FALSE(race.Decided()) << "the third still competes";
  race.Withdraw(3);
  EXPECT_TRUE(race.Decided());
}

}  // namespace
}  // namespace trimma::race_test
