#include "measure/speed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::speed_test {
namespace {

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

SpeedOptions Short() {
  SpeedOptions options;
  options.prompt_tokens = 32;
  options.decode_tokens = 8;
  options.rounds = 4;
  options.budget_seconds = 30;
  options.load_repeats = 1;
  return options;
}

class SpeedTest : public testing::Test {
 protected:
  SpeedTest() { WriteTinyModel(tree_ / "tiny.gguf"); }
  SpeedSubject Subject(const RuntimeSettings& settings = {}) {
    return {tree_ / "tiny.gguf", settings, Phases::kBoth};
  }
  TempTree tree_;
};

TEST_F(SpeedTest, WithoutTimeInAllOneRoundIsDoneInsteadOfTheFewest) {
  RuntimeSettings one;
  one.threads = 1;
  for (const int processes : {1, 8}) {
    for (const bool hurried : {true, false}) {
      SpeedOptions options = Short();
      options.rounds = 400;
      options.processes = processes;
      options.budget_seconds = 0;
      if (hurried) options.most_seconds = 0;
      const auto trials = MeasureSpeed({Subject(), Subject(one)}, options);
      ASSERT_TRUE(trials.ok()) << trials.error().what;
      const size_t fewest = hurried ? 1 : options.min_rounds;
      EXPECT_EQ(trials->at(1).log_gains.size(), fewest) << processes << " processes";
    }
  }
}

TEST_F(SpeedTest, EveryRoundGivesASampleOfEach) {
  std::vector<double> shares;
  const auto trials =
      MeasureSpeed({Subject()}, Short(), [&](double share) { shares.push_back(share); });
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_EQ(trials->size(), 1U);
  const SpeedTrial& trial = trials->front();
  ASSERT_FALSE(trial.error.has_value()) << trial.error->what;
  const Speed& speed = trial.speed;
  EXPECT_EQ(speed.prompt_tokens, 32);
  EXPECT_EQ(speed.decode_tokens, 8);
  EXPECT_EQ(speed.prefill_samples.size(), 4U);
  EXPECT_EQ(speed.decode_samples.size(), 4U);
  EXPECT_EQ(speed.prefill_tps.n, 4);
  EXPECT_EQ(speed.load_ms.n, 1);
  for (const Spread& spread : {speed.prefill_tps, speed.decode_tps, speed.ttft_ms, speed.load_ms}) {
    EXPECT_GT(spread.low, 0);
    EXPECT_LE(spread.low, spread.median);
    EXPECT_LE(spread.median, spread.high);
  }
  // The time to the first token is that of the prompt.
  EXPECT_NEAR(speed.ttft_ms.low, 32 / speed.prefill_tps.high * 1000, 1e-6);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_FALSE(shares.empty());
  EXPECT_DOUBLE_EQ(shares.back(), 1);
}

TEST_F(SpeedTest, CandidatesKeepTheirOrderAndTheirSettings) {
  std::vector<SpeedSubject> subjects;
  for (const uint32_t ubatch : {512U, 16U, 64U}) {
    RuntimeSettings settings;
    settings.ubatch = ubatch;
    subjects.push_back(Subject(settings));
  }
  TinyModelOptions other;
  other.layers = 1;
  subjects.push_back({WriteTinyModel(tree_ / "other.gguf", other), {}, Phases::kBoth});
  const auto trials = MeasureSpeed(subjects, Short());
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_EQ(trials->size(), 4U);
  for (size_t i = 0; i < subjects.size(); ++i) {
    EXPECT_EQ(trials->at(i).subject.path, subjects[i].path);
    EXPECT_EQ(trials->at(i).subject.settings, subjects[i].settings);
    // The anchor begins and ends each of the 4 rounds; what drifted is left out.
    EXPECT_GE(trials->at(i).speed.decode_samples.size(), 1U);
    EXPECT_LE(trials->at(i).speed.decode_samples.size(), i == 0 ? 5U : 4U);
    EXPECT_EQ(trials->at(i).speed.load_ms.n, 1) << "loads of a file are timed once, for all";
  }
}

TEST_F(SpeedTest, OneThatCannotRunDoesNotSpoilTheOthers) {
  RuntimeSettings impossible;
  impossible.kv_k = impossible.kv_v = "q8_0";
  impossible.flash_attention = FlashAttention::kOff;
  const auto trials = MeasureSpeed({Subject(), Subject(impossible)}, Short());
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_FALSE(trials->at(0).error.has_value());
  ASSERT_TRUE(trials->at(1).error.has_value());
  EXPECT_EQ(trials->at(1).error->code, Code::kUsage);
  EXPECT_TRUE(trials->at(1).speed.decode_samples.empty());
}

TEST_F(SpeedTest, WithoutTimeThreeRoundsAreDone) {
  SpeedOptions options = Short();
  options.rounds = 50;
  options.budget_seconds = 0.001;
  const auto trials = MeasureSpeed({Subject()}, options);
  ASSERT_TRUE(trials.ok());
  EXPECT_EQ(trials->front().speed.decode_samples.size(), 3U);
}

TEST_F(SpeedTest, PromptsLongerThanABatchAreMeasuredInBatches) {
  RuntimeSettings settings;
  settings.batch = 16;
  settings.ubatch = 8;
  const auto trials = MeasureSpeed({Subject(settings)}, Short());
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_FALSE(trials->front().error.has_value());
}

// Contexts are made in steps of 256 cells: this prompt leaves none of them free.
TEST_F(SpeedTest, APromptMayFillItsContextToTheLastCell) {
  SpeedOptions options = Short();
  options.prompt_tokens = 256;
  const auto trials = MeasureSpeed({Subject()}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_FALSE(trials->front().error.has_value()) << trials->front().error->what;
}

TEST_F(SpeedTest, ARaceLeavesOutTheSlowAndEndsWhenDecided) {
  TinyModelOptions large;
  large.layers = 8;
  large.embedding = 512;
  large.feed_forward = 2048;
  const std::string slow = WriteTinyModel(tree_ / "slow.gguf", large);
  SpeedOptions options = Short();
  options.rounds = 60;
  options.race = true;
  const auto trials = MeasureSpeed({Subject(), {slow, {}, Phases::kBoth}}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_FALSE(trials->at(1).left);
  EXPECT_LT(trials->at(1).speed.decode_samples.size(), 60U);
  EXPECT_GT(trials->at(0).speed.decode_tps.median, trials->at(1).speed.decode_tps.median);
  for (const double gain : trials->at(1).log_gains) EXPECT_LT(gain, 0);
}

TEST_F(SpeedTest, OfOnePhaseOnlyThatIsMeasured) {
  const auto trials = MeasureSpeed({Subject(),
                                    {tree_ / "tiny.gguf", {}, Phases::kPrefill},
                                    {tree_ / "tiny.gguf", {}, Phases::kDecode}},
                                   Short());
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_GT(trials->at(0).speed.prefill_tps.n, 0);
  EXPECT_GT(trials->at(0).speed.decode_tps.n, 0);
  EXPECT_GT(trials->at(1).speed.prefill_tps.n, 0);
  EXPECT_EQ(trials->at(1).speed.decode_tps.n, 0);
  EXPECT_EQ(trials->at(2).speed.prefill_tps.n, 0);
  EXPECT_GT(trials->at(2).speed.decode_tps.n, 0);
}

TEST_F(SpeedTest, DepthIsFilledBeforehandAndKept) {
  SpeedOptions options = Short();
  options.depth = 300;
  options.rounds = 5;
  const auto trials = MeasureSpeed({Subject()}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_FALSE(trials->front().error.has_value()) << trials->front().error->what;
  EXPECT_EQ(trials->front().speed.depth, 300);
  EXPECT_EQ(trials->front().speed.decode_tps.n, 5);
}

// Its window is shorter than what is decoded: the cache is filled anew each time.
TEST_F(SpeedTest, DepthIsFilledAgainWhereAWindowHasMovedOn) {
  TinyModelOptions windowed;
  windowed.architecture = "gemma3";
  const std::string path = WriteTinyModel(tree_ / "gemma.gguf", windowed);
  SpeedOptions options = Short();
  options.depth = 100;
  RuntimeSettings settings;
  settings.batch = settings.ubatch = 16;
  const auto trials = MeasureSpeed({{path, settings, Phases::kBoth}}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_FALSE(trials->front().error.has_value()) << trials->front().error->what;
  EXPECT_EQ(trials->front().speed.prefill_tps.n, 4);
}

TEST_F(SpeedTest, ParallelSequencesAreDecodedTogether) {
  RuntimeSettings settings;
  settings.parallel = 3;
  SpeedOptions options = Short();
  options.depth = 20;
  const auto trials = MeasureSpeed({Subject(settings)}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_FALSE(trials->front().error.has_value()) << trials->front().error->what;
  EXPECT_EQ(trials->front().speed.decode_tps.n, 4);
}

TEST_F(SpeedTest, WhereOnlyOneMayBeLoadedAllAreMeasuredStill) {
  RuntimeSettings other;
  other.ubatch = 16;
  RuntimeSettings unpacked;
  unpacked.repack = false;
  unpacked.load_mode = LoadMode::kRead;
  SpeedOptions options = Short();
  options.resident = 1;
  options.rounds = 3;
  const auto trials = MeasureSpeed({Subject(), Subject(other), Subject(unpacked)}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  for (const SpeedTrial& trial : *trials) {
    ASSERT_FALSE(trial.error.has_value()) << trial.error->what;
    EXPECT_GT(trial.speed.prefill_tps.n, 0);
  }
}

// As a card that holds one: each placement is loaded once a round, the anchor's again after it.
TEST_F(SpeedTest, APlacementIsLoadedOnceARoundForBothPhases) {
  RuntimeSettings unpacked;
  unpacked.repack = false;
  SpeedOptions options = Short();
  options.resident = 1;
  options.load_repeats = 0;
  options.rounds = options.min_rounds = 4;
  const auto of = [&](const RuntimeSettings& settings, Phases phases) {
    SpeedSubject subject = Subject(settings);
    subject.phases = phases;
    return subject;
  };
  const auto trials =
      MeasureSpeed({Subject(), of(unpacked, Phases::kPrefill), of({}, Phases::kPrefill),
                    of(unpacked, Phases::kDecode), of({}, Phases::kDecode)},
                   options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  for (const SpeedTrial& trial : *trials)
    ASSERT_FALSE(trial.error.has_value()) << trial.error->what;
  // Four rounds, and in the first candidates' order once, to see that they run.
  EXPECT_EQ((*trials)[1].speed.load_ms.n, 4 + 2);
  EXPECT_EQ((*trials)[1].log_gains.size(), 4U);
}

TEST_F(SpeedTest, SamplesHaveTheirTimesAndConditions) {
  const auto trials = MeasureSpeed({Subject(), Subject()}, Short());
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  for (const SpeedTrial& trial : *trials) {
    const Speed& speed = trial.speed;
    EXPECT_EQ(speed.sample_seconds.size(), speed.prefill_samples.size());
    EXPECT_TRUE(std::is_sorted(speed.sample_seconds.begin(), speed.sample_seconds.end()));
    EXPECT_GE(speed.conditions.warm_ups, 2);
    EXPECT_EQ(speed.conditions.segments, 0) << "four rounds are too few to judge drift by";
    EXPECT_GT(speed.conditions.seconds, 0);
  }
}

TEST(ExpectedProcessesTest, AreThoseThatTheBudgetHoldsAndThreeInAnyCase) {
  SpeedOptions options;
  options.budget_seconds = 30;
  EXPECT_EQ(ExpectedProcesses(options, 8, 1), 8);
  EXPECT_EQ(ExpectedProcesses(options, 8, 7), 5) << "the fifth begins within the budget";
  EXPECT_EQ(ExpectedProcesses(options, 8, 40), 3);
  EXPECT_EQ(ExpectedProcesses(options, 2, 40), 2);
}

TEST_F(SpeedTest, RoundsAreDividedAmongProcesses) {
  SpeedOptions options = Short();
  options.processes = 2;
  const auto trials = MeasureSpeed({Subject()}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_EQ(trials->front().speed.decode_tps.n, 2);
  EXPECT_EQ(trials->front().speed.decode_samples.size(), 4U);
  EXPECT_EQ(trials->front().speed.load_ms.n, 2);
}

TEST_F(SpeedTest, WhoFailsOnceIsNotTriedInTheNextProcess) {
  RuntimeSettings impossible;
  impossible.kv_k = impossible.kv_v = "q8_0";
  impossible.flash_attention = FlashAttention::kOff;
  SpeedOptions options = Short();
  options.processes = 3;
  options.rounds = 3;
  const auto trials = MeasureSpeed({Subject(), Subject(impossible), Subject()}, options);
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_EQ(trials->at(0).speed.decode_tps.n, 3);
  ASSERT_TRUE(trials->at(1).error.has_value());
  EXPECT_EQ(trials->at(2).subject.settings, RuntimeSettings()) << "the others keep their place";
  EXPECT_FALSE(trials->at(2).error.has_value());
}

TEST(SpeedValueTest, RoundsAreDividedEvenlyAndNoneIsAdded) {
  EXPECT_EQ(DividedRounds(10, 8), (std::vector<int>{2, 2, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(DividedRounds(9, 9), std::vector<int>(9, 1));
  EXPECT_EQ(DividedRounds(36, 9), std::vector<int>(9, 4));
  EXPECT_EQ(DividedRounds(3, 8), std::vector<int>(3, 1));
  EXPECT_EQ(DividedRounds(5, 1), std::vector<int>{5});
}

TEST_F(SpeedTest, WhatCannotBeMeasuredIsAnError) {
  EXPECT_EQ(MeasureSpeed({{tree_ / "none.gguf", {}, Phases::kBoth}}, Short()).error().code,
            Code::kNotFound);
  EXPECT_EQ(MeasureSpeed({}, Short()).error().code, Code::kUsage);
}

Speed SomeSpeed() {
  Speed speed;
  speed.prefill_tps = {100, 90, 110, 3};
  speed.decode_tps = {10, 9, 11, 3};
  speed.ttft_ms = {5120, 5000, 5300, 3};
  speed.load_ms = {40, 38, 42, 2};
  speed.prompt_tokens = 512;
  speed.decode_tokens = 64;
  speed.depth = 7;
  speed.prefill_samples = {100, 90.5, 110};
  speed.decode_samples = {10, 9, 11};
  speed.sample_seconds = {0, 0.5, 1};
  speed.conditions.others_share = 0.25;
  speed.decode_energy = {30, 2, 60};
  return speed;
}

TEST(SpeedValueTest, JsonRoundTrip) {
  const Speed speed = SomeSpeed();
  const auto back = SpeedFromJson(Json::parse(ToJson(speed).dump()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(ToJson(*back), ToJson(speed));
  EXPECT_EQ(back->prefill_tps, speed.prefill_tps);
  EXPECT_EQ(back->depth, 7);
  EXPECT_DOUBLE_EQ(ToJson(speed)["energy_j_per_token"]["decode"].get<double>(), 0.5);
  EXPECT_TRUE(ToJson(speed)["energy_j_per_token"]["prefill"].is_null());
  EXPECT_TRUE(ToJson(Speed())["energy_j_per_token"].is_null()) << "where nobody tells";
}

TEST(SpeedValueTest, RecordsWithoutTimesAreRead) {
  Json json = ToJson(SomeSpeed());
  json["samples"].erase("at_seconds");
  json.erase("conditions");
  const auto back = SpeedFromJson(json);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->sample_seconds.empty());
}

TEST(SpeedValueTest, UsersAreServedInTurns) {
  const Exchange exchange = {100, 5};
  // Two at once: three turns of 10 times 10 steps; the prompts one after the other.
  EXPECT_DOUBLE_EQ(ExchangeTime(exchange, 10, 2, 1.0, 0.5), 5 * 1.0 + 3 * 10 * 0.5);
  EXPECT_DOUBLE_EQ(ExchangeTime({0, 1}, 10, 1, 1.0, 0.5), 1.0) << "no answer is asked for";
}

TEST(SpeedValueTest, OfSeveralProcessesEachGivesOneFigure) {
  std::vector<SpeedTrial> runs(2);
  for (size_t i = 0; i < 2; ++i) {
    runs[i].speed = SomeSpeed();
    runs[i].speed.conditions.seconds = 10;
    runs[i].speed.conditions.others_share = 0.5 * static_cast<double>(i);
    runs[i].log_gains = {0.1, 0.2 + static_cast<double>(i), 5};
  }
  runs[1].speed.decode_tps.median = 20;
  const SpeedTrial merged = MergeTrials(runs);
  EXPECT_EQ(merged.speed.decode_tps, (Spread{15, 10, 20, 2}));
  EXPECT_EQ(merged.speed.decode_samples.size(), 6U);
  EXPECT_EQ(merged.speed.sample_seconds, (std::vector<double>{0, 0.5, 1, 10, 10.5, 11}));
  EXPECT_EQ(merged.log_gains, (std::vector<double>{0.2, 1.2}));
  EXPECT_DOUBLE_EQ(merged.speed.decode_energy->joules, 60);
  EXPECT_DOUBLE_EQ(*JoulesPerToken(*merged.speed.decode_energy), 0.5);
  EXPECT_DOUBLE_EQ(*merged.speed.conditions.others_share, 0.25);
  runs[1].error = Error{Code::kNoFit, "no memory", ""};
  EXPECT_TRUE(MergeTrials(runs).error.has_value());
}

TEST(SpeedValueTest, AMalformedRecordIsInvalid) {
  EXPECT_EQ(SpeedFromJson(Json()).error().code, Code::kInvalid);
  EXPECT_EQ(SpeedFromJson(Json::object()).error().code, Code::kInvalid);
  Json json = ToJson(SomeSpeed());
  json["samples"]["decode_tps"] = "many";
  EXPECT_EQ(SpeedFromJson(json).error().code, Code::kInvalid);
  json = ToJson(SomeSpeed());
  json["prefill_tps"] = 5;
  EXPECT_EQ(SpeedFromJson(json).error().code, Code::kInvalid);
}

TEST(SpeedValueTest, AnExchangeIsThePromptAndTheAnswerOfOneRound) {
  const std::vector<double> seconds = ExchangeSeconds(SomeSpeed(), 20);
  ASSERT_EQ(seconds.size(), 3U);
  EXPECT_DOUBLE_EQ(seconds[0], 5.12 + 2);
  EXPECT_DOUBLE_EQ(seconds[1], 512 / 90.5 + 20.0 / 9);
  EXPECT_TRUE(ExchangeSeconds(Speed(), 20).empty());
}

}  // namespace
}  // namespace trimma::speed_test
