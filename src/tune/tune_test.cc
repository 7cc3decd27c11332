#include "tune/tune.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::tune_test {
namespace {

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

TuneOptions Quick() {
  TuneOptions options;
  options.prompt_tokens = 64;
  options.decode_tokens = 8;
  options.answer_tokens = 16;
  options.budget_seconds = 1;
  options.cores = 2;
  options.threads = 2;
  options.defaults.context = 512;
  return options;
}

// On a machine that runs all tests at once, "too busy" and "too little time" are right answers too.
bool WasBusy(const Result<TuneResult>& result) {
  return !result.ok() &&
         (result.error().code == Code::kBusy || result.error().code == Code::kUsage);
}

TEST(TuneTest, EverySettingIsTriedAndTheBestIsTheDefaultOrFaster) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  std::vector<std::string> stages;
  const TuneOptions options = Quick();
  const auto result = Tune(path, options, [&](const std::string& stage, double share) {
    if (stages.empty() || stages.back() != stage) stages.push_back(stage);
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1);
  });
  ASSERT_FALSE(stages.empty());
  EXPECT_EQ(stages.front(), "measuring the defaults");
  if (WasBusy(result)) GTEST_SKIP() << result.error().what;
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_FALSE(result->trials.empty());
  EXPECT_FALSE(result->not_tried.empty());
  EXPECT_EQ(result->default_settings, options.defaults);
  EXPECT_FALSE(result->verdict.empty());
  EXPECT_GT(result->default_speed.decode_tps.median, 0);
  EXPECT_GT(result->seconds, 0);
  if (result->best_settings == options.defaults) {
    EXPECT_EQ(result->gain.mean, 1);
    EXPECT_NE(result->verdict.find("already best"), std::string::npos);
  } else {
    EXPECT_GT(result->gain.mean, 1);
    EXPECT_EQ(stages.back(), "confirming");
    EXPECT_FALSE(Difference(options.defaults, result->best_settings).empty());
  }
  const Json json = ToJson(*result);
  EXPECT_EQ(json["schema"], "trimma.tune/1");
  for (const char* key : {"default", "best", "gain", "verdict", "trials", "seconds", "not_tried"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["trials"].size(), result->trials.size());
}

TEST(TuneTest, ATrialHasTheSpeedOfItsPhasesAlone) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  const auto result = Tune(path, Quick());
  if (WasBusy(result)) GTEST_SKIP() << result.error().what;
  ASSERT_TRUE(result.ok()) << result.error().what;
  for (const TuneTrialResult& trial : result->trials) {
    EXPECT_EQ(trial.error.has_value(), trial.outcome == TrialOutcome::kFailed);
    if (trial.error) continue;
    EXPECT_EQ(trial.speed.prefill_tps.n > 0, trial.variation.phases != Phases::kDecode)
        << trial.variation.what;
    EXPECT_EQ(trial.speed.decode_tps.n > 0, trial.variation.phases != Phases::kPrefill)
        << trial.variation.what;
  }
}

TEST(TuneTest, ABudgetForNoTrialIsRefused) {
  const TempTree tree;
  TuneOptions options = Quick();
  options.budget_seconds = 0.001;
  const auto result = Tune(WriteTinyModel(tree / "tiny.gguf"), options);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::kUsage);
  EXPECT_NE(result.error().what.find("too small"), std::string::npos);
  EXPECT_NE(result.error().hint.find("--budget"), std::string::npos);
}

TEST(TuneTest, AFinishedStepIsNotRepeatedByTheNextRun) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  TuneOptions options = Quick();
  options.journal_directory = tree / "tune";
  // What an interruption in the second step would leave.
  std::string name;
  std::string left;
  const auto first = Tune(path, options, [&](const std::string& stage, double) {
    if (stage != "trying settings" || !left.empty()) return;
    for (const auto& entry : std::filesystem::directory_iterator(tree / "tune")) {
      name = "tune/" + entry.path().filename().string();
      left = *ReadSmallFile(entry.path().string());
    }
  });
  if (left.empty() && WasBusy(first)) GTEST_SKIP() << first.error().what;
  ASSERT_FALSE(left.empty());
  tree.Write(name, left);
  std::vector<std::string> stages;
  const auto result = Tune(path, options, [&](const std::string& stage, double) {
    if (stages.empty() || stages.back() != stage) stages.push_back(stage);
  });
  ASSERT_FALSE(stages.empty());
  EXPECT_EQ(stages.front(), "trying settings");
  if (WasBusy(result)) GTEST_SKIP() << result.error().what;
  ASSERT_TRUE(result.ok()) << result.error().what;
  ASSERT_FALSE(result->notes.empty());
  EXPECT_NE(result->notes[0].find("interrupted"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(tree / name)) << "the question is answered";
}

TEST(TuneTest, DefaultsThatCannotRunAreAnError) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  TuneOptions options = Quick();
  options.defaults.kv_k = options.defaults.kv_v = "q8_0";
  options.defaults.flash_attention = FlashAttention::kOff;
  EXPECT_FALSE(Tune(path, options).ok());
  EXPECT_EQ(Tune(tree / "none.gguf", Quick()).error().code, Code::kNotFound);
}

// Measures nothing: every visit takes as long as `visit_seconds` says, without any passing on its
// clock but in the first race, and whose difference begins with one of `faster` gains a quarter.
struct StandIn {
  double now = 0;
  double visit_seconds = 1;
  double seconds_of_race = 0;
  std::vector<std::string> faster;
  int confirmed = 12;  // figures of a confirmation
  std::vector<std::vector<RuntimeSettings>> calls;
  std::vector<std::optional<double>> most_seconds;  // of each call

  Result<std::vector<SpeedTrial>> operator()(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options) {
    calls.emplace_back();
    most_seconds.push_back(options.most_seconds);
    const int figures = options.race || calls.size() == 1 ? 12 : confirmed;
    if (calls.size() == 2) now += seconds_of_race;
    std::vector<SpeedTrial> trials;
    for (const SpeedSubject& candidate : candidates) {
      calls.back().push_back(candidate.settings);
      SpeedTrial trial;
      trial.subject = candidate;
      Speed& speed = trial.speed;
      speed.prompt_tokens = options.prompt_tokens;
      speed.decode_tokens = options.decode_tokens;
      const double prefill = options.prompt_tokens / visit_seconds * 2;
      const double decode = options.decode_tokens / visit_seconds * 2;
      speed.prefill_samples.assign(figures, prefill);
      speed.decode_samples.assign(figures, decode);
      speed.prefill_tps = MedianSpread(speed.prefill_samples);
      speed.decode_tps = MedianSpread(speed.decode_samples);
      speed.load_ms = MedianSpread({100 * visit_seconds, 100 * visit_seconds});
      speed.conditions.seconds = figures * visit_seconds;
      if (trials.empty()) {
        trials.push_back(trial);
        continue;
      }
      const std::string differs = Difference(candidates[0].settings, candidate.settings);
      const bool wins = std::any_of(faster.begin(), faster.end(), [&](const std::string& one) {
        return differs.starts_with(one);
      });
      trial.log_gains.assign(figures, wins ? std::log(1.25) : 0.0);
      trial.left = wins;
      trials.push_back(trial);
    }
    return trials;
  }
};

Result<TuneResult> TuneWith(StandIn& stand_in, double budget, TuneOptions options = Quick()) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  options.budget_seconds = budget;
  options.why_no_kv = "not here";
  options.clock = [&] { return stand_in.now; };
  options.meter = [&](const std::vector<SpeedSubject>& candidates, const SpeedOptions& speed,
                      const std::function<void(double)>&) { return stand_in(candidates, speed); };
  return Tune(path, options);
}

// Whatever is tried last is faster.
StandIn WithAFasterLast() {
  StandIn stand_in;
  TuneWith(stand_in, 30).value();
  const auto& last = stand_in.calls.back();
  StandIn faster;
  faster.faster = {Difference(last[0], last.back())};
  return faster;
}

bool TimeWasLeftForAll(const TuneResult& result) {
  return std::none_of(result.not_tried.begin(), result.not_tried.end(),
                      [](const NotTried& item) { return item.why == "no time was left for it"; });
}

TEST(TuneTimeTest, WhatTheFirstRaceHasNoTimeForIsTriedAfterwards) {
  StandIn stand_in;
  const auto result = TuneWith(stand_in, 36);
  ASSERT_TRUE(result.ok()) << result.error().what;
  // The first race didn't hold all, and the clock stood still.
  ASSERT_GE(stand_in.calls.size(), 3U);
  EXPECT_LT(stand_in.calls[1].size(), 1 + result->trials.size());
  EXPECT_TRUE(TimeWasLeftForAll(*result));
  EXPECT_NE(result->verdict.find("the default is already best: "), std::string::npos)
      << result->verdict;
}

TEST(TuneTimeTest, WhatIsFoundAfterwardsIsConfirmed) {
  StandIn stand_in = WithAFasterLast();
  const auto result = TuneWith(stand_in, 30);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_TRUE(Difference(result->default_settings, result->best_settings)
                  .starts_with(stand_in.faster.front()));
  EXPECT_NEAR(result->gain.mean, 1.25, 0.2);
  EXPECT_EQ(result->best_speed.load_ms.n, 2);
}

TEST(TuneTimeTest, AConfirmationThatTheTimeCutsShortProvesNothingAndIsSaid) {
  StandIn stand_in = WithAFasterLast();
  stand_in.confirmed = 4;
  const auto result = TuneWith(stand_in, 30);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result->best_settings, result->default_settings);
  EXPECT_TRUE(std::any_of(result->notes.begin(), result->notes.end(), [](const std::string& note) {
    return note.starts_with("the time held 4 of the 9 rounds");
  }));
}

TEST(TuneTimeTest, WhereTheTimeHoldsOneFinalistTheBetterOneIsConfirmed) {
  TuneOptions options = Quick();
  const Placed placed = {"a placement", 1, {"blk\\.0\\."}};
  options.has_gpu = true;
  options.defaults.gpu_layers = 1;
  options.other.placed = {placed};
  for (const bool is_short : {false, true}) {
    StandIn stand_in;
    stand_in.faster = {"on the host", "decode threads"};
    if (is_short) stand_in.seconds_of_race = 22;  // of 60: what is left holds one's rounds
    const auto result = TuneWith(stand_in, 60, options);
    ASSERT_TRUE(result.ok()) << result.error().what;
    EXPECT_EQ(result->best_settings.host_tensors, placed.host_tensors);
    // Each finalist's prompt and its decoding, beside the defaults.
    EXPECT_EQ(stand_in.calls.back().size(), is_short ? 3U : 5U);
    EXPECT_EQ(std::count_if(result->not_tried.begin(), result->not_tried.end(),
                            [](const NotTried& item) {
                              return item.what.starts_with("confirming decode threads");
                            }),
              is_short ? 1 : 0);
  }
}

TEST(TuneTimeTest, WhereTheBudgetHoldsNoTrialTheDefaultsAreKeptIfThatIsWished) {
  TuneOptions options = Quick();
  options.budget_share = 0.5;
  options.starts_for_each_visit = true;
  StandIn stand_in;
  // Three rounds and nine, of two starts each.
  EXPECT_EQ(TuneWith(stand_in, 23, options).error().code, Code::kUsage);
  EXPECT_TRUE(TuneWith(stand_in, 25, options).ok());
  options.keeps_where_short = true;
  EXPECT_FALSE(TuneWith(stand_in, 25, options)->too_short);
  stand_in.calls.clear();
  const auto result = TuneWith(stand_in, 23, options);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(stand_in.calls.size(), 1U);
  EXPECT_EQ(result->best_settings, result->default_settings);
  EXPECT_GT(result->best_speed.decode_tps.median, 0);
  EXPECT_EQ(result->gain.mean, 1);
  EXPECT_FALSE(TimeWasLeftForAll(*result));
  EXPECT_TRUE(ToJson(*result).at("too_short").is_object());
  ASSERT_TRUE(result->too_short);
  EXPECT_NE(result->too_short->hint.find("--budget 48s"), std::string::npos)
      << result->too_short->hint;
  EXPECT_NE(result->verdict.find("the defaults are kept, no other setting was tried: a budget of "
                                 "46.0 s is too small"),
            std::string::npos)
      << result->verdict;
}

TEST(TuneTimeTest, EveryStepButTheFirstEndsWithTheBudget) {
  StandIn stand_in;
  TuneWith(stand_in, 30).value();
  ASSERT_GE(stand_in.most_seconds.size(), 2U);
  EXPECT_FALSE(stand_in.most_seconds[0].has_value());
  for (size_t i = 1; i < stand_in.most_seconds.size(); ++i) {
    ASSERT_TRUE(stand_in.most_seconds[i].has_value());
    EXPECT_LE(*stand_in.most_seconds[i], 30);
  }
}

TEST(TuneTimeTest, WhatNoTimeIsLeftForIsSaidInTheVerdict) {
  StandIn stand_in;
  stand_in.seconds_of_race = 40;
  const auto result = TuneWith(stand_in, 36);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_FALSE(TimeWasLeftForAll(*result));
  EXPECT_NE(result->verdict.find("best of what was tried"), std::string::npos) << result->verdict;
  EXPECT_NE(result->verdict.find("more time would try"), std::string::npos);
}

}  // namespace
}  // namespace trimma::tune_test
