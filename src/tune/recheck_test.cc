// What is pure of planning, reading and repeating a confirmation.
#include "tune/recheck.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tune/confirm.h"
#include "tune/cost.h"
#include "tune/stage.h"

namespace trimma::recheck_test {
namespace {

RuntimeSettings WithUbatch(uint32_t ubatch) {
  RuntimeSettings settings;
  settings.ubatch = ubatch;
  return settings;
}

// Half a second a prompt, a second of decoding, two of loading.
Speed SomeSpeed() {
  Speed speed;
  speed.prompt_tokens = 500;
  speed.decode_tokens = 50;
  speed.prefill_tps = {1000, 990, 1010, 9};
  speed.decode_tps = {50, 49, 51, 9};
  speed.load_ms = {2000, 2000, 2000, 1};
  speed.prefill_samples = {1000, 1000, 1000};
  speed.decode_samples = {50, 50, 50};
  speed.conditions.seconds = 4.5;
  return speed;
}

SpeedSubject Subject(const RuntimeSettings& settings, Phases phases = Phases::kBoth) {
  return {"m.gguf", settings, phases};
}

TEST(TrialCostsTest, AVisitIsItsPhasesAndWhatIsAroundThem) {
  Speed speed = SomeSpeed();
  TrialCosts costs = CostsOf(speed, 50, 1, false);
  EXPECT_DOUBLE_EQ(VisitSeconds(costs, Phases::kBoth), 1.5);
  EXPECT_DOUBLE_EQ(VisitSeconds(costs, Phases::kPrefill), 0.5);
  EXPECT_DOUBLE_EQ(CostsOf(speed, 25, 1, false).decode_seconds, 0.5);
  // Where the context is filled again each time, visits last longer than their phases.
  speed.conditions.seconds = 10.5;
  costs = CostsOf(speed, 50, 1, false);
  EXPECT_DOUBLE_EQ(VisitSeconds(costs, Phases::kBoth), 3.5);
  EXPECT_DOUBLE_EQ(VisitSeconds(costs, Phases::kPrefill), 2.5);
}

TEST(TrialCostsTest, ANewContextIsFilledAndNewWeightsAreLoaded) {
  Speed speed = SomeSpeed();
  speed.depth = 4000;
  const TrialCosts costs = CostsOf(speed, 50, 1, false);
  EXPECT_DOUBLE_EQ(costs.fill_seconds, 4);
  const SpeedSubject defaults = Subject({});
  RuntimeSettings threads;
  threads.threads = 3;
  RuntimeSettings unpacked;
  unpacked.repack = false;
  const double same = PrepareSeconds(costs, defaults, Subject(threads));
  EXPECT_DOUBLE_EQ(PrepareSeconds(costs, defaults, Subject(WithUbatch(64))), same + 4);
  EXPECT_DOUBLE_EQ(PrepareSeconds(costs, defaults, Subject(unpacked)), same + 4 + 2 * 2);
  TrialCosts slow = costs;
  slow.pace = 3;
  EXPECT_DOUBLE_EQ(PrepareSeconds(slow, defaults, Subject(unpacked)), 3 * (same + 4 + 2 * 2));
  EXPECT_DOUBLE_EQ(StartSeconds(slow), 3 * StartSeconds(costs));
}

TEST(TrialCostsTest, WhereOneModelIsLoadedEveryVisitOfAnotherLoadsAgain) {
  const SpeedSubject defaults = Subject({});
  RuntimeSettings unpacked;
  unpacked.repack = false;
  const TrialCosts all = CostsOf(SomeSpeed(), 50, 1, false);
  const TrialCosts one = CostsOf(SomeSpeed(), 50, 1, true);
  EXPECT_DOUBLE_EQ(RoundSeconds(one, defaults, defaults), RoundSeconds(all, defaults, defaults));
  EXPECT_GT(RoundSeconds(one, defaults, Subject(unpacked)),
            RoundSeconds(all, defaults, Subject(unpacked)) + 2);
}

TEST(TrialCostsTest, AFinalistIsLoadedOnceARoundForBothPhases) {
  RuntimeSettings unpacked;
  unpacked.repack = false;
  const auto subjects = ConfirmSubjects("m.gguf", {}, {unpacked});
  const TrialCosts all = CostsOf(SomeSpeed(), 50, 1, false);
  const TrialCosts one = CostsOf(SomeSpeed(), 50, 1, true);
  const auto each = [&](const TrialCosts& costs) {
    return ConfirmSeconds(costs, subjects, 0) / kConfirmRounds;
  };
  const double there = SwitchSeconds(one, subjects[0], subjects[1]);
  EXPECT_GT(there, one.load_seconds);
  EXPECT_DOUBLE_EQ(SwitchSeconds(one, subjects[0], subjects[0]), 0);
  // There and back; loading it once more to begin with takes the same in both.
  EXPECT_NEAR(each(one) - each(all), 2 * there, one.load_seconds);
}

TEST(TrialCostsTest, WhereAVisitIsAStartNothingElseIsPrepared) {
  TrialCosts costs = CostsOf(SomeSpeed(), 50, 1, true);
  costs.starts_each_visit = true;
  costs.around_seconds = 6;  // the start
  costs.process_seconds = 30;
  RuntimeSettings unpacked;
  unpacked.repack = false;
  const SpeedSubject defaults = Subject({});
  // Three rounds of two starts: of the defaults, and of the candidate.
  EXPECT_DOUBLE_EQ(BareRaceSeconds(costs), 3 * 7.5);
  EXPECT_DOUBLE_EQ(FewestSeconds(costs, defaults, Subject(unpacked)), 3 * 7.5);
  EXPECT_DOUBLE_EQ(FewestSeconds(costs, defaults, Subject(unpacked, Phases::kPrefill)), 3 * 6.5);
  // A finalist's phases are measured in one start.
  const auto subjects = ConfirmSubjects("m.gguf", {}, {unpacked});
  EXPECT_DOUBLE_EQ(ConfirmSeconds(costs, subjects, 0), kConfirmRounds * 2 * 7.5);
  EXPECT_EQ(PlanConfirmation(costs, subjects, 10 * 2 * 7.5).rounds, 10);
  costs.starts_each_visit = false;
  EXPECT_DOUBLE_EQ(BareRaceSeconds(costs), StartSeconds(costs));
}

TEST(PlanConfirmationTest, TakesAProcessForEachRoundWhereThereIsTime) {
  const auto subjects = ConfirmSubjects("m.gguf", {}, {WithUbatch(64)});
  ASSERT_EQ(subjects.size(), 3U);
  const TrialCosts costs = CostsOf(SomeSpeed(), 50, 1, false);
  const ConfirmPlan rich = PlanConfirmation(costs, subjects, 1000);
  EXPECT_GT(rich.processes, kConfirmRounds) << "what is left of the time is not thrown away";
  EXPECT_LE(rich.processes, 25);
  EXPECT_EQ(rich.rounds % rich.processes, 0);
  EXPECT_EQ(PlanConfirmation(costs, subjects, 1e6).processes, rich.processes);
  // Starting a process takes what was measured, where that is more than its parts.
  TrialCosts slow = costs;
  slow.process_seconds = 100;
  EXPECT_EQ(PlanConfirmation(slow, subjects, 800).processes, 1);
  const ConfirmPlan poor = PlanConfirmation(costs, subjects, 40);
  EXPECT_EQ(poor.processes, 1);
  EXPECT_GE(poor.rounds, kConfirmRounds) << "fewer prove nothing";
  EXPECT_EQ(PlanConfirmation(costs, subjects, 0).rounds, kConfirmRounds);
  // The defaults alone, too.
  EXPECT_GE(PlanConfirmation(costs, ConfirmSubjects("m.gguf", {}, {}), 1000).rounds, 9);
}

// The defaults, and one finalist with such gains in each phase.
std::vector<SpeedTrial> Trials(double prefill_gain, double decode_gain) {
  std::vector<SpeedTrial> trials(3);
  trials[0].speed = SomeSpeed();
  trials[0].speed.sample_seconds = {0, 1, 2};
  trials[1].speed.prefill_tps = {1000 * prefill_gain, 1000, 1500, 9};
  trials[1].speed.prefill_samples = {1000 * prefill_gain};
  trials[1].log_gains.assign(kConfirmRounds, std::log(prefill_gain));
  trials[2].speed.decode_tps = {50 * decode_gain, 40, 60, 9};
  trials[2].speed.decode_samples = {50 * decode_gain};
  trials[2].log_gains.assign(kConfirmRounds, std::log(decode_gain));
  return trials;
}

TEST(SpeedOfChoiceTest, IsOfTheConfirmationAloneAndOfEachPhaseThatWasProven) {
  const auto trials = Trials(1.2, 1.0);
  const Choice choice = Decide({}, ConfirmationsOf({WithUbatch(64)}, trials), {1, 1});
  const Speed speed = SpeedOfChoice(choice, trials);
  EXPECT_DOUBLE_EQ(speed.prefill_tps.median, 1200);
  EXPECT_EQ(speed.prefill_samples, trials[1].speed.prefill_samples);
  EXPECT_EQ(speed.decode_samples, trials[0].speed.decode_samples) << "the same settings there";
  EXPECT_TRUE(speed.sample_seconds.empty()) << "phases visited apart have no common times";
  EXPECT_EQ(ToJson(SpeedOfChoice({}, trials)), ToJson(trials[0].speed));
}

TEST(SpeedOfChoiceTest, AFinalistThatFailedProvesNothing) {
  auto trials = Trials(1.2, 1.2);
  trials[2].error = Error{Code::kNoFit, "out of memory", ""};
  const Choice choice = Decide({}, ConfirmationsOf({WithUbatch(64)}, trials), {1, 1});
  EXPECT_EQ(choice.settings, RuntimeSettings());
}

FormerChoice Former(const RuntimeSettings& settings) {
  return {settings, SomeSpeed(), std::nullopt, std::nullopt};
}

TEST(JudgeAgainTest, AChoiceHoldsWhereItIsProvenAgain) {
  const TuneOptions options;
  const Recheck again = JudgeAgain(Former(WithUbatch(64)), options, Trials(1.2, 1.0));
  EXPECT_TRUE(again.holds);
  EXPECT_GT(again.gain.mean, 1);
  EXPECT_NE(again.sentence.find("ubatch 64"), std::string::npos);
  EXPECT_DOUBLE_EQ(again.speed.prefill_tps.median, 1200);
  const TuneResult result = StillTrue(Former(WithUbatch(64)), options, again);
  EXPECT_EQ(result.best_settings.ubatch, 64U);
  EXPECT_NE(result.verdict.find("still holds"), std::string::npos);
  EXPECT_TRUE(ToJson(result)["recheck"]["holds"].get<bool>());
}

TEST(JudgeAgainTest, AndNoLongerWhereItIsNot) {
  const Recheck again = JudgeAgain(Former(WithUbatch(64)), {}, Trials(0.9, 1.0));
  EXPECT_FALSE(again.holds);
  EXPECT_EQ(again.gain.mean, 1);
  RuntimeSettings both = WithUbatch(64);
  both.threads = 2;
  both.threads_batch = 1;
  EXPECT_FALSE(JudgeAgain(Former(both), {}, Trials(1.2, 1.0)).holds) << "a part of it isn't it";
}

TEST(JudgeAgainTest, ThatTheDefaultsAreBestHoldsWhileTheyRunAsFastAsThen) {
  FormerChoice former = Former({});
  EXPECT_TRUE(JudgeAgain(former, {}, {Trials(1, 1)[0]}).holds);
  former.default_speed.decode_tps = {50, 30, 70, 9};
  EXPECT_FALSE(JudgeAgain(former, {}, {Trials(1, 1)[0]}).holds) << "a wide interval shows nothing";
  former.default_speed.decode_tps = {80, 79, 81, 9};
  const Recheck again = JudgeAgain(former, {}, {Trials(1, 1)[0]});
  EXPECT_FALSE(again.holds);
  EXPECT_NE(again.sentence.find("decode 80.0 tok/s then, 50.0 now"), std::string::npos);
}

TEST(JudgeAgainTest, WhatADisturbedMachineSaysIsNoAnswer) {
  SpeedConditions conditions;
  conditions.segments = 10;
  conditions.discarded = 4;
  conditions.others_share = 0.2;
  EXPECT_FALSE(IsDisturbed(conditions));
  conditions.discarded = 5;
  EXPECT_TRUE(IsDisturbed(conditions));
  conditions.discarded = 0;
  conditions.others_share = 0.25;
  EXPECT_TRUE(IsDisturbed(conditions));
  conditions.others_share = std::nullopt;
  conditions.unsteady = true;
  EXPECT_TRUE(IsDisturbed(conditions));
}

TEST(FormerChoiceTest, AQuantisedCacheIsHeldToWhatIsAllowedNowAndToItsText) {
  TuneOptions options;
  TuneResult result;
  result.asked = AskedOf(options);
  result.default_speed = SomeSpeed();
  result.best_settings.kv_k = "q8_0";
  result.kv_quality = Quality();
  result.kv_quality->mean_kld_high = 0.004;
  result.kv_text = JudgingText();
  result.kv_text->kind = "generated";
  result.max_kv_kld = options.max_kv_kld;
  const Json document = ToJson(result);
  const auto former = FormerChoiceFrom(document, options);
  ASSERT_TRUE(former.has_value());
  EXPECT_DOUBLE_EQ(StillTrue(*former, options, {}).kv_quality->mean_kld_high, 0.004);
  options.max_kv_kld = 0.005;
  EXPECT_TRUE(FormerChoiceFrom(document, options).has_value());
  options.max_kv_kld = 0.003;
  EXPECT_FALSE(FormerChoiceFrom(document, options).has_value()) << "it loses more";
  options.max_kv_kld = 0.1;
  EXPECT_FALSE(FormerChoiceFrom(document, options).has_value()) << "a faster one may be allowed";
  options.max_kv_kld = 0.01;
  options.text_file = "another.txt";
  EXPECT_FALSE(FormerChoiceFrom(document, options).has_value());
  Json unjudged = document;
  unjudged["kv_quality"] = nullptr;
  EXPECT_FALSE(FormerChoiceFrom(unjudged, {}).has_value());
}

TEST(KvJudgingTest, IsAtTheDepthThatTheAnswerHas) {
  TuneOptions options;
  options.depth = 3000;
  options.prompt_tokens = 500;
  EXPECT_EQ(KvJudging(options, 60).chunk - *KvJudging(options, 60).last - 1, 3500);
  options.trained_context = 2048;
  EXPECT_EQ(KvJudging(options, 60).chunk, 2048);
}

TEST(KvJudgingTest, TakesAsLongAsFourChunksWithBothCaches) {
  TuneOptions options;
  options.prompt_tokens = 495;
  Speed speed;
  speed.prefill_tps.median = 100;
  const double seconds = KvJudgingSeconds(options, speed);
  EXPECT_GE(seconds, 4 * 2 * 624 / 100.0);
  speed.prefill_tps.median = 200;
  EXPECT_LT(KvJudgingSeconds(options, speed), seconds);
}

TEST(FormerChoiceTest, OnlyTheSameQuestionIsCheckedAgain) {
  TuneOptions options;
  TuneResult result;
  result.asked = AskedOf(options);
  result.default_speed = SomeSpeed();
  result.best_settings = WithUbatch(64);
  const Json document = ToJson(result);
  const auto former = FormerChoiceFrom(document, options);
  ASSERT_TRUE(former.has_value());
  EXPECT_EQ(former->settings.ubatch, 64U);
  options.prompt_tokens = 7;
  EXPECT_FALSE(FormerChoiceFrom(document, options).has_value());
  options = {};
  options.defaults.ubatch = 128;
  EXPECT_FALSE(FormerChoiceFrom(document, options).has_value()) << "other defaults";
  Json served = document;
  served["through"] = "ollama";
  EXPECT_FALSE(AsksTheSame(served, {})) << "another program's figures";
  Json old = document;
  old.erase("asked");
  EXPECT_FALSE(FormerChoiceFrom(old, {}).has_value());
  EXPECT_FALSE(FormerChoiceFrom("nothing", {}).has_value());
}

}  // namespace
}  // namespace trimma::recheck_test
