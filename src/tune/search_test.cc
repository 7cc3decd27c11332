#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tune/tune.h"

namespace trimma {
namespace {

TuneOptions Machine(int cores, int threads) {
  TuneOptions options;
  options.cores = cores;
  options.threads = threads;
  return options;
}

std::set<std::string> Names(const std::vector<Variation>& variations) {
  std::set<std::string> names;
  for (const Variation& variation : variations) names.insert(variation.what);
  return names;
}

TuneTrialResult Faster(double gain) {
  TuneTrialResult trial;
  trial.outcome = TrialOutcome::kFaster;
  trial.gain = {gain, gain - 0.01, gain + 0.01};
  return trial;
}

TuneTrialResult WithThreads(int threads, double gain) {
  TuneTrialResult trial = Faster(gain);
  trial.variation.settings.threads = threads;
  return trial;
}

TuneTrialResult WithUbatch(uint32_t ubatch, double gain) {
  TuneTrialResult trial = Faster(gain);
  trial.variation.settings.ubatch = ubatch;
  return trial;
}

TuneTrialResult WithKv(const char* kv, double gain) {
  TuneTrialResult trial = Faster(gain);
  trial.variation.settings.kv_k = trial.variation.settings.kv_v = kv;
  return trial;
}

TuneTrialResult WithFlash(FlashAttention flash, double gain) {
  TuneTrialResult trial = Faster(gain);
  trial.variation.settings.flash_attention = flash;
  return trial;
}

TEST(VariationsTest, NeverHoldTheDefaultOrTheSameTwice) {
  for (int cores = 1; cores <= 16; ++cores) {
    for (const int threads : {cores, 2 * cores}) {
      for (const bool explicit_default : {false, true}) {
        TuneOptions options = Machine(cores, threads);
        if (explicit_default) options.defaults.threads = cores;
        const std::vector<Variation> variations = Variations(options);
        EXPECT_EQ(Names(variations).size(), variations.size());
        for (size_t i = 0; i < variations.size(); ++i) {
          const RuntimeSettings& settings = variations[i].settings;
          EXPECT_FALSE(settings == options.defaults) << variations[i].what;
          // Naming the threads that are taken anyway is no variation.
          if (settings.threads != options.defaults.threads) {
            EXPECT_NE(settings.threads, cores) << variations[i].what;
          }
          for (size_t j = 0; j < i; ++j)
            EXPECT_FALSE(settings == variations[j].settings) << variations[i].what;
        }
      }
    }
  }
}

TEST(VariationsTest, ChangeOneThingEach) {
  const TuneOptions options = Machine(8, 16);
  for (const Variation& variation : Variations(options)) {
    const RuntimeSettings& s = variation.settings;
    const RuntimeSettings& base = options.defaults;
    const int changes = (s.threads != base.threads ? 1 : 0) + (s.ubatch != base.ubatch ? 1 : 0) +
                        (s.flash_attention != base.flash_attention ? 1 : 0) +
                        (s.kv_k != base.kv_k ? 1 : 0);
    EXPECT_EQ(changes, 1) << variation.what;
    EXPECT_EQ(s.context, base.context);
    EXPECT_EQ(s.batch, base.batch);
    EXPECT_EQ(s.gpu_layers, base.gpu_layers);
  }
}

TEST(VariationsTest, ThreadsAreHalvedSparedAndDoubled) {
  const std::set<std::string> names = Names(Variations(Machine(8, 16)));
  for (const char* name : {"threads 4", "threads 7", "threads 16"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_FALSE(names.contains("threads 8"));
}

TEST(VariationsTest, OneCoreIsNotHalved) {
  for (const std::string& name : Names(Variations(Machine(1, 1))))
    EXPECT_FALSE(name.starts_with("threads")) << name;
}

TEST(VariationsTest, APhysicalBatchBeyondThePromptIsNotTried) {
  TuneOptions options = Machine(4, 4);
  options.prompt_tokens = 200;
  const std::set<std::string> names = Names(Variations(options));
  EXPECT_TRUE(names.contains("ubatch 128"));
  EXPECT_FALSE(names.contains("ubatch 256"));
  options.prompt_tokens = 4096;
  EXPECT_TRUE(Names(Variations(options)).contains("ubatch 2048"));
  options.defaults.batch = 1024;
  EXPECT_FALSE(Names(Variations(options)).contains("ubatch 2048"));
}

TEST(VariationsTest, AQuantisedCacheIsOnlyTriedWithFlashAttention) {
  for (const FlashAttention flash :
       {FlashAttention::kAuto, FlashAttention::kOn, FlashAttention::kOff}) {
    for (const char* kv : {"f16", "q8_0"}) {
      TuneOptions options = Machine(4, 4);
      options.defaults.flash_attention = flash;
      options.defaults.kv_k = options.defaults.kv_v = kv;
      if (flash == FlashAttention::kOff && std::string(kv) != "f16") continue;  // can't run at all
      for (const Variation& variation : Variations(options)) {
        EXPECT_FALSE(variation.settings.kv_v == "q8_0" &&
                     variation.settings.flash_attention == FlashAttention::kOff)
            << variation.what;
      }
    }
  }
}

TEST(CompareTest, OnlyADifferenceBeyondTheNoiseAndOnePercentCounts) {
  EXPECT_EQ(Compare({1.1, 1.02, 1.2}), TrialOutcome::kFaster);
  EXPECT_EQ(Compare({1.1, 1.005, 1.2}), TrialOutcome::kNoDifference) << "nobody feels it";
  EXPECT_EQ(Compare({1.1, 0.99, 1.2}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({1.0, 1.0, 1.0}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({0.9, 0.8, 1.0}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({0.9, 0.8, 0.995}), TrialOutcome::kNoDifference);
  EXPECT_EQ(Compare({0.9, 0.8, 0.98}), TrialOutcome::kSlower);
}

TEST(CompareTest, OutcomesHaveNames) {
  EXPECT_STREQ(NameOf(TrialOutcome::kFaster), "faster");
  EXPECT_STREQ(NameOf(TrialOutcome::kNoDifference), "no difference");
  EXPECT_STREQ(NameOf(TrialOutcome::kSlower), "slower");
  EXPECT_STREQ(NameOf(TrialOutcome::kFailed), "failed");
}

TEST(CombineTest, WithoutAWinnerTheDefaultStays) {
  RuntimeSettings defaults;
  defaults.threads = 6;
  EXPECT_EQ(Combine(defaults, {}), defaults);
  std::vector<TuneTrialResult> trials = {WithThreads(2, 1.5), WithUbatch(64, 1.4),
                                         WithKv("q8_0", 1.3)};
  trials[0].outcome = TrialOutcome::kNoDifference;
  trials[1].outcome = TrialOutcome::kSlower;
  trials[2].outcome = TrialOutcome::kFailed;
  for (TuneTrialResult& trial : trials)
    if (!trial.variation.settings.threads) trial.variation.settings.threads = 6;
  EXPECT_EQ(Combine(defaults, trials), defaults);
}

TEST(CombineTest, EachKnobTakesItsLargestGain) {
  std::vector<TuneTrialResult> trials = {WithThreads(2, 1.1), WithThreads(4, 1.3),
                                         WithThreads(6, 1.2), WithUbatch(256, 1.05),
                                         WithUbatch(64, 1.02)};
  for (int order = 0; order < 2; ++order) {
    const RuntimeSettings combined = Combine({}, trials);
    EXPECT_EQ(combined.threads, 4);
    EXPECT_EQ(combined.ubatch, 256U);
    EXPECT_EQ(combined.kv_k, "f16");
    std::reverse(trials.begin(), trials.end());
  }
}

TEST(CombineTest, TheLargestGainDecidesOnTheCacheToo) {
  EXPECT_EQ(Combine({}, {WithKv("q8_0", 1.2), WithKv("q4_0", 1.05)}).kv_k, "q8_0");
  EXPECT_EQ(Combine({}, {WithKv("q4_0", 1.05), WithKv("q8_0", 1.2)}).kv_k, "q8_0");
}

TEST(CombineTest, AQuantisedCacheNeverMeetsFlashAttentionOff) {
  const RuntimeSettings combined =
      Combine({}, {WithFlash(FlashAttention::kOff, 1.1), WithKv("q8_0", 1.2)});
  EXPECT_EQ(combined.kv_v, "q8_0");
  EXPECT_NE(combined.flash_attention, FlashAttention::kOff);
  RuntimeSettings off;
  off.flash_attention = FlashAttention::kOff;
  TuneTrialResult quantised = WithKv("q8_0", 1.2);
  quantised.variation.settings.flash_attention = FlashAttention::kOff;
  EXPECT_NE(Combine(off, {quantised}).flash_attention, FlashAttention::kOff);
}

TEST(CombineTest, FlashAttentionOffIsTakenAlone) {
  const RuntimeSettings combined = Combine({}, {WithFlash(FlashAttention::kOff, 1.1)});
  EXPECT_EQ(combined.flash_attention, FlashAttention::kOff);
  EXPECT_EQ(combined.kv_v, "f16");
}

}  // namespace
}  // namespace trimma
