#include "tune/tune.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma {
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

TEST(TuneTest, EveryVariationIsTriedAndTheBestIsTheDefaultOrFaster) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  std::vector<std::string> stages;
  const TuneOptions options = Quick();
  const auto result = Tune(path, options, [&](const std::string& stage, double share) {
    if (stages.empty() || stages.back() != stage) stages.push_back(stage);
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1);
  });
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result->trials.size(), Variations(options).size());
  EXPECT_EQ(result->default_settings, options.defaults);
  EXPECT_EQ(stages.front(), "trying settings");
  EXPECT_FALSE(result->verdict.empty());
  EXPECT_GE(result->gain.mean, 1);
  EXPECT_GT(result->default_speed.decode_tps.median, 0);
  EXPECT_GT(result->seconds, 0);
  if (result->best_settings == options.defaults) {
    EXPECT_EQ(result->gain.mean, 1);
    EXPECT_NE(result->verdict.find("already best"), std::string::npos);
  } else {
    EXPECT_EQ(Compare(result->gain), TrialOutcome::kFaster);
    EXPECT_EQ(stages.back(), "confirming");
  }
}

TEST(TuneTest, AVariationThatCannotRunHereFailsAlone) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");  // heads of 16: no q8_0 block
  const auto result = Tune(path, Quick());
  ASSERT_TRUE(result.ok()) << result.error().what;
  int failed = 0;
  for (const TuneTrialResult& trial : result->trials) {
    EXPECT_EQ(trial.error.has_value(), trial.outcome == TrialOutcome::kFailed);
    if (!trial.error) continue;
    ++failed;
    EXPECT_EQ(trial.variation.what, "KV cache q8_0");
  }
  EXPECT_LE(failed, 1);
  const Json json = ToJson(*result);
  EXPECT_EQ(json["schema"], "trimma.tune/1");
  for (const char* key : {"default", "best", "gain", "verdict", "trials", "seconds"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["trials"].size(), result->trials.size());
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

}  // namespace
}  // namespace trimma
