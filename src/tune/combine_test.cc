#include "tune/combine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace trimma::combine_test {
namespace {

TuneTrialResult Trial(Knob knob, const std::string& what, double gain,
                      const std::function<void(RuntimeSettings&)>& change) {
  TuneTrialResult trial;
  trial.variation.what = what;
  trial.variation.knob = knob;
  trial.variation.phases = knob == Knob::kThreads ? Phases::kDecode
                           : knob == Knob::kUbatch || knob == Knob::kPrefillThreads
                               ? Phases::kPrefill
                               : Phases::kBoth;
  change(trial.variation.settings);
  trial.gain = {gain, gain - 0.005, gain + 0.005};
  trial.outcome = Compare(trial.gain);
  trial.left = gain >= 1;
  return trial;
}

TuneTrialResult Ubatch(uint32_t ubatch, double gain) {
  return Trial(Knob::kUbatch, "ubatch " + std::to_string(ubatch), gain,
               [&](RuntimeSettings& s) { s.ubatch = ubatch; });
}
TuneTrialResult PrefillThreads(int threads, double gain) {
  return Trial(Knob::kPrefillThreads, "prefill threads " + std::to_string(threads), gain,
               [&](RuntimeSettings& s) { s.threads_batch = threads; });
}
TuneTrialResult Threads(int threads, double gain) {
  return Trial(Knob::kThreads, "decode threads " + std::to_string(threads), gain,
               [&](RuntimeSettings& s) { s.threads = threads, s.threads_batch = 8; });
}
TuneTrialResult FlashOff(double gain) {
  return Trial(Knob::kFlashAttention, "flash attention off", gain,
               [&](RuntimeSettings& s) { s.flash_attention = FlashAttention::kOff; });
}
TuneTrialResult Kv(double gain) {
  return Trial(Knob::kKv, "KV cache q8_0/q8_0", gain,
               [&](RuntimeSettings& s) { s.kv_k = s.kv_v = "q8_0"; });
}

TuneTrialResult PlacedTrial(int layers, const std::vector<std::string>& hosted, double gain) {
  return Trial(Knob::kPlacement, "placed " + std::to_string(layers), gain, [&](RuntimeSettings& s) {
    s.gpu_layers = layers;
    s.host_tensors = hosted;
  });
}

std::set<std::string> Names(const std::vector<Combination>& combinations) {
  std::set<std::string> names;
  for (const Combination& c : combinations) names.insert(c.variation.what);
  return names;
}

// Fewer layers and all layers without some matrices exclude each other: the better one is taken
// whole, never half of each.
TEST(CombineTest, OfTwoPlacementsThatWonOneIsTakenWhole) {
  for (const bool hosted_wins : {true, false}) {
    const std::vector<TuneTrialResult> alone = {PlacedTrial(28, {}, hosted_wins ? 1.1 : 1.3),
                                                PlacedTrial(35, {"ffn"}, hosted_wins ? 1.2 : 1.1),
                                                Ubatch(1024, 1.1)};
    const RuntimeSettings& best = alone[hosted_wins ? 1 : 0].variation.settings;
    const RuntimeSettings shared = SharedWinners({}, alone);
    EXPECT_EQ(shared.gpu_layers, best.gpu_layers);
    EXPECT_EQ(shared.host_tensors, best.host_tensors);
    const auto combinations = Combinations({}, alone);
    ASSERT_FALSE(combinations.empty());
    for (const Combination& combination : combinations) {
      EXPECT_EQ(combination.variation.settings.gpu_layers, best.gpu_layers);
      EXPECT_EQ(combination.variation.settings.host_tensors, best.host_tensors);
    }
  }
}

TEST(CompareTest, OnlyADifferenceBeyondTheNoiseAndOnePercentCounts) {
  EXPECT_EQ(Compare({1.1, 1.02, 1.2}), TrialOutcome::kFaster);
  EXPECT_EQ(Compare({1.1, 1.005, 1.2}), TrialOutcome::kNoDifference) << "nobody feels it";
  EXPECT_EQ(Compare({1.1, 0.99, 1.2}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({1.0, 1.0, 1.0}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({0.9, 0.8, 0.995}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({0.9, 0.8, 0.98}), TrialOutcome::kSlower);
}

TEST(CompareTest, OutcomesHaveNames) {
  EXPECT_STREQ(NameOf(TrialOutcome::kFaster), "faster");
  EXPECT_STREQ(NameOf(TrialOutcome::kNoDifference), "no difference");
  EXPECT_STREQ(NameOf(TrialOutcome::kSlower), "slower");
  EXPECT_STREQ(NameOf(TrialOutcome::kFailed), "failed");
}

TEST(CombinationsTest, WithoutWinnersThereAreNone) {
  EXPECT_TRUE(Combinations({}, {}).empty());
  EXPECT_TRUE(Combinations({}, {Ubatch(64, 0.9), FlashOff(0.8)}).empty());
}

TEST(CombinationsTest, OneWinnerIsKnownAlready) {
  EXPECT_TRUE(Combinations({}, {Ubatch(64, 1.2)}).empty());
  EXPECT_TRUE(Combinations({}, {Ubatch(64, 1.2), Threads(4, 1.1)}).empty()) << "other phases";
}

TEST(CombinationsTest, WinnersOfAPhaseAreTriedTogether) {
  const auto found = Combinations(
      {}, {Ubatch(64, 1.2), Ubatch(128, 1.3), Ubatch(256, 1.1), PrefillThreads(6, 1.05)});
  const std::set<std::string> wanted = {"ubatch 128, prefill threads 6",
                                        "ubatch 64, prefill threads 6"};
  EXPECT_EQ(Names(found), wanted);
  for (const Combination& c : found) EXPECT_EQ(c.variation.phases, Phases::kPrefill);
}

TEST(CombinationsTest, UnderASharedWinnerEverythingIsTriedAgain) {
  const auto found = Combinations({}, {Ubatch(64, 1.2), Threads(4, 1.1), FlashOff(1.05)});
  const std::set<std::string> wanted = {"flash attention off", "flash attention off, ubatch 64",
                                        "flash attention off, decode threads 4"};
  EXPECT_EQ(Names(found), wanted);
  EXPECT_EQ(found.size(), 4U) << "the winner itself in each phase";
  for (const Combination& c : found) {
    EXPECT_TRUE(c.shared);
    EXPECT_EQ(c.variation.settings.flash_attention, FlashAttention::kOff);
  }
}

TEST(CombinationsTest, WhatPromisesMostComesFirst) {
  const auto found =
      Combinations({}, {Ubatch(64, 1.2), Ubatch(128, 1.3), PrefillThreads(6, 1.05), FlashOff(1.1)});
  ASSERT_GE(found.size(), 2U);
  EXPECT_EQ(found[0].variation.what, "flash attention off, ubatch 128, prefill threads 6");
  EXPECT_NEAR(found[0].promise, std::log(1.1 * 1.3 * 1.05), 1e-9);
  for (size_t i = 1; i < found.size(); ++i) EXPECT_GE(found[i - 1].promise, found[i].promise);
}

TEST(MaySaveTest, IsTheShareOfTheWholeExchange) {
  Hidden hidden;
  EXPECT_DOUBLE_EQ(MaySave(hidden, {1, 3}), 0);
  // A prompt that may take half as long, of a quarter of the time.
  hidden.Add(Phases::kPrefill, std::log(2.0));
  hidden.Add(Phases::kPrefill, std::log(1.5));
  EXPECT_NEAR(MaySave(hidden, {1, 3}), 0.125, 1e-12);
  hidden.Add(Phases::kBoth, std::log(1.25));
  EXPECT_NEAR(MaySave(hidden, {1, 3}), 0.2, 1e-12);
  EXPECT_NEAR(hidden.largest(), std::log(2.0), 1e-12);
  // Nothing known of decoding: all of it may go.
  hidden.Add(Phases::kDecode, 1e9);
  EXPECT_NEAR(MaySave(hidden, {1, 3}), 0.875, 1e-12);
}

TEST(SharedWinnersTest, AQuantisedCacheNeverMeetsFlashAttentionOff) {
  const RuntimeSettings shared = SharedWinners({}, {FlashOff(1.1), Kv(1.2)});
  EXPECT_EQ(shared.kv_v, "q8_0");
  EXPECT_NE(shared.flash_attention, FlashAttention::kOff);
  EXPECT_EQ(SharedWinners({}, {FlashOff(1.1)}).flash_attention, FlashAttention::kOff);
  EXPECT_EQ(SharedWinners({}, {FlashOff(0.9), Ubatch(64, 2)}), RuntimeSettings());
}

TEST(SharedWinnersTest, ACacheThatLosesTooMuchLeavesTheOthers) {
  TuneTrialResult milder = Kv(1.1);
  milder.variation.settings.kv_v = "f16";
  std::vector<TuneTrialResult> trials = {Kv(1.2), milder};
  LeaveOutCache(SharedWinners({}, trials), trials);
  ASSERT_EQ(trials.size(), 1U);
  EXPECT_EQ(SharedWinners({}, trials).kv_v, "f16");
  EXPECT_EQ(SharedWinners({}, trials).kv_k, "q8_0");
}

TEST(FinalistsTest, EachPhaseBringsItsBest) {
  const std::vector<TuneTrialResult> alone = {Ubatch(64, 1.2), Ubatch(128, 1.3), Threads(4, 1.1),
                                              Threads(6, 1.05)};
  const auto finalists = Finalists({}, alone, {}, {}, {1, 1});
  ASSERT_EQ(finalists.size(), 1U);
  EXPECT_EQ(finalists[0].ubatch, 128U);
  EXPECT_EQ(finalists[0].threads, 4);
  EXPECT_EQ(finalists[0].threads_batch, 8);
}

TEST(FinalistsTest, WhatWonAloneIsOfferedWhereNoTimeWasLeftToCombineIt) {
  const auto finalists = Finalists({}, {FlashOff(1.2)}, {}, {}, {1, 1});
  ASSERT_EQ(finalists.size(), 1U);
  EXPECT_EQ(finalists[0].flash_attention, FlashAttention::kOff);
  // Beside the best of one phase, which promises less of the whole.
  const auto two = Finalists({}, {FlashOff(1.2), Ubatch(64, 1.1)}, {}, {}, {1, 1});
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[0].flash_attention, FlashAttention::kOff);
  EXPECT_EQ(two[0].ubatch, 512U) << "together they weren't tried";
  EXPECT_EQ(two[1].ubatch, 64U);
  EXPECT_EQ(Finalists({}, {FlashOff(1.02), Ubatch(64, 1.5)}, {}, {}, {1, 1}).size(), 1U);
}

TEST(FinalistsTest, TwoPlacementsAreConfirmedWhereTheSecondPromisesMoreThanThreads) {
  const TuneTrialResult best = PlacedTrial(35, {"ffn"}, 1.36);
  const TuneTrialResult second = PlacedTrial(33, {}, 1.22);
  auto finalists = Finalists({}, {second, best, Threads(4, 1.05)}, {}, {}, {1, 1});
  ASSERT_EQ(finalists.size(), 2U);
  EXPECT_EQ(finalists[0].host_tensors, best.variation.settings.host_tensors);
  EXPECT_EQ(finalists[1].gpu_layers, 33);
  finalists = Finalists({}, {second, best, Threads(4, 2)}, {}, {}, {1, 1});
  ASSERT_EQ(finalists.size(), 2U);
  EXPECT_EQ(finalists[1].threads, 4);
  // Of two caches the faster one was judged; what the other loses, nobody knows.
  const TuneTrialResult unjudged = Trial(Knob::kKv, "KV cache q4_0/q4_0", 1.29,
                                         [](RuntimeSettings& s) { s.kv_k = s.kv_v = "q4_0"; });
  finalists = Finalists({}, {Kv(1.3), unjudged}, {}, {}, {1, 1});
  ASSERT_EQ(finalists.size(), 1U);
  EXPECT_EQ(finalists[0].kv_k, "q8_0");
}

TEST(FinalistsTest, WithoutWinnersThereAreNone) {
  EXPECT_TRUE(Finalists({}, {Ubatch(64, 0.9), Threads(4, 0.8)}, {}, {}, {1, 1}).empty());
}

TEST(FinalistsTest, WhatTouchesBothPhasesIsWeighedByTheirTimes) {
  const std::vector<TuneTrialResult> alone = {FlashOff(1.05)};
  const auto combinations = Combinations({}, alone);
  ASSERT_EQ(combinations.size(), 2U);
  std::vector<TuneTrialResult> together;
  for (const Combination& c : combinations) {
    TuneTrialResult trial;
    trial.variation = c.variation;
    const double gain = c.variation.phases == Phases::kPrefill ? 1.5 : 0.9;
    trial.gain = {gain, gain - 0.01, gain + 0.01};
    together.push_back(trial);
  }
  EXPECT_EQ(Finalists({}, alone, combinations, together, {10, 1}).size(), 1U);
  EXPECT_TRUE(Finalists({}, alone, combinations, together, {1, 10}).empty());
}

std::vector<double> Logs(double median, double noise, int n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(median, noise);
  std::vector<double> logs;
  for (int i = 0; i < n; ++i) logs.push_back(normal(random));
  return logs;
}

RuntimeSettings WithUbatch(uint32_t ubatch) {
  RuntimeSettings settings;
  settings.ubatch = ubatch;
  return settings;
}

TEST(DecideTest, AProvenGainIsTakenWithItsInterval) {
  const Choice decision =
      Decide({}, {{WithUbatch(64), Logs(0.2, 0.01, 20, 1), Logs(0, 0.01, 20, 2)}}, {1, 1});
  EXPECT_EQ(decision.settings.ubatch, 64U);
  EXPECT_NEAR(decision.prefill.mean, std::exp(0.2), 0.02);
  EXPECT_EQ(decision.decode.mean, 1) << "it isn't touched";
  EXPECT_GT(decision.gain.low, 1.05);
  EXPECT_LT(decision.gain.mean, decision.prefill.mean);
}

TEST(DecideTest, PhasesAreDecidedApart) {
  RuntimeSettings both = WithUbatch(64);
  both.threads = 4;
  both.threads_batch = 8;
  const Choice decision =
      Decide({}, {{both, Logs(0, 0.01, 20, 1), Logs(0.1, 0.01, 20, 2)}}, {1, 1});
  EXPECT_EQ(decision.settings.threads, 4);
  EXPECT_EQ(decision.settings.ubatch, 512U);
  EXPECT_EQ(decision.prefill.mean, 1);
  EXPECT_GT(decision.decode.low, 1.05);
}

TEST(DecideTest, WithoutAnIntervalNothingIsProven) {
  const Choice decision = Decide({}, {{WithUbatch(64), {0.2, 0.2, 0.2}, {0, 0, 0}}}, {1, 1});
  EXPECT_EQ(decision.settings, RuntimeSettings());
  EXPECT_EQ(decision.gain.mean, 1);
  EXPECT_GT(decision.may_hide.prefill, 1) << "and nothing excluded";
  EXPECT_EQ(decision.may_hide.decode, 0) << "it isn't touched";
}

TEST(DecideTest, TheConfirmingRoundsSufficeForTwoFinalists) {
  const std::vector<double> sure(kConfirmRounds, 0.2);
  RuntimeSettings off;
  off.flash_attention = FlashAttention::kOff;
  const Choice decision = Decide({}, {{WithUbatch(64), sure, sure}, {off, sure, sure}}, {1, 1});
  EXPECT_NE(decision.settings, RuntimeSettings());
}

TEST(DecideTest, WhatTouchesBothPhasesMustGainInAll) {
  RuntimeSettings off;
  off.flash_attention = FlashAttention::kOff;
  const Confirmation mixed = {off, Logs(0.3, 0.01, 20, 1), Logs(-0.1, 0.01, 20, 2)};
  EXPECT_EQ(Decide({}, {mixed}, {10, 1}).settings, off);
  EXPECT_EQ(Decide({}, {mixed}, {1, 10}).settings, RuntimeSettings());
}

// 1000 machines on which nothing helps, and finalists that looked lucky before.
TEST(DecideTest, WhereNothingHelpsAGainIsHardlyEverClaimed) {
  for (const double noise : {0.005, 0.05, 0.3}) {
    int claimed = 0;
    for (unsigned seed = 0; seed < 1000; ++seed) {
      RuntimeSettings both = WithUbatch(64);
      both.threads = 4;
      const Confirmation finalist = {both, Logs(0, noise, 12, 2 * seed),
                                     Logs(0, noise, 12, 2 * seed + 1)};
      if (!(Decide({}, {finalist}, {1, 1}).settings == RuntimeSettings())) ++claimed;
    }
    // Each phase errs upwards in 1.25 % at most: 25 of 1000, and chance.
    EXPECT_LE(claimed, 40) << noise;
  }
}

// In a confirmation with a process for each figure nobody judges drift. What a step of the machine
// inside a process does to that process's figure (half of it at most, either way) is noise of its
// own there, which must make no claim, however often it happens.
TEST(DecideTest, StepsOfTheMachineInAnyShareOfTheProcessesClaimNothing) {
  for (const double share : {0.1, 0.5, 1.0}) {
    int claimed = 0;
    for (unsigned seed = 0; seed < 1000; ++seed) {
      std::mt19937 random(seed);
      std::uniform_real_distribution<double> chance(0, 1);
      std::uniform_real_distribution<double> step(-0.25 / 2, 0.25 / 2);
      const auto figures = [&](uint32_t of) {
        std::vector<double> logs = Logs(0, 0.01, kConfirmRounds, of);
        for (double& log : logs) log += chance(random) < share ? step(random) : 0;
        return logs;
      };
      RuntimeSettings both = WithUbatch(64);
      both.threads = 4;
      const Confirmation finalist = {both, figures(2 * seed), figures(2 * seed + 1)};
      if (!(Decide({}, {finalist}, {1, 1}).settings == RuntimeSettings())) ++claimed;
    }
    EXPECT_LE(claimed, 40) << share;
  }
}

// One process of nine that went wrong makes no gain out of none; what it takes off one that is
// there hides it only where nothing is left of more than is felt.
TEST(DecideTest, OneProcessThatDriftedMakesNoGain) {
  std::vector<double> none(kConfirmRounds, 0.0);
  none[4] = 0.12;
  EXPECT_EQ(Decide({}, {{WithUbatch(64), none, none}}, {1, 1}).settings, RuntimeSettings());
  std::vector<double> gained(kConfirmRounds, 0.1);
  gained[4] = 0.1 - 0.05;
  EXPECT_EQ(Decide({}, {{WithUbatch(64), gained, none}}, {1, 1}).settings.ubatch, 64U);
}

TEST(ChangesTest, SaysWhichPhasesSettingsCanChange) {
  const RuntimeSettings defaults;
  RuntimeSettings settings;
  for (const Phases phases : {Phases::kBoth, Phases::kPrefill, Phases::kDecode})
    EXPECT_FALSE(Changes(settings, defaults, phases));
  settings.ubatch = 64;
  EXPECT_TRUE(Changes(settings, defaults, Phases::kPrefill));
  EXPECT_FALSE(Changes(settings, defaults, Phases::kDecode));
  settings = defaults;
  settings.threads = 3;
  EXPECT_TRUE(Changes(settings, defaults, Phases::kDecode));
  EXPECT_FALSE(Changes(settings, defaults, Phases::kBoth));
  settings = defaults;
  settings.kv_k = "q8_0";
  EXPECT_TRUE(Changes(settings, defaults, Phases::kBoth));
  EXPECT_FALSE(Changes(settings, defaults, Phases::kPrefill));
}

}  // namespace
}  // namespace trimma::combine_test
