#include "llama_server/meter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "hardware/temp_tree.h"
#include "support/fake_llama_server.h"

namespace trimma::meter_test {
namespace {

class FakeMeterTest : public testing::Test {
 protected:
  std::vector<SpeedSubject> Subjects() const {
    RuntimeSettings slow;
    slow.ubatch = 128;
    slow.threads = 2;
    RuntimeSettings fails = slow;
    fails.ubatch = 64;
    RuntimeSettings threads = slow;
    threads.threads = 4;
    return {{"m.gguf", slow, Phases::kBoth},
            {"m.gguf", fails, Phases::kPrefill},
            {"m.gguf", threads, Phases::kPrefill},
            {"m.gguf", threads, Phases::kDecode}};
  }
  const TempTree tree_;
};

TEST_F(FakeMeterTest, MeasuresAsTheServerSays) {
  SpeedOptions options;
  options.prompt_tokens = 20;
  options.decode_tokens = 8;
  options.rounds = options.min_rounds = 2;
  ServerMeterOptions each;
  each.start_each_round = true;
  const LlamaServerMeter meter(FakeLlamaServer(tree_ / "llama-server", "dislikes-64"), each);
  const auto trials = meter(Subjects(), options, {});
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  ASSERT_EQ(trials->size(), 4U);
  const Speed& plain = (*trials)[0].speed;
  EXPECT_NEAR(plain.prefill_tps.median, 12800, 1e-6);
  EXPECT_NEAR(plain.decode_tps.median, 2000, 1e-6);
  EXPECT_EQ(plain.prefill_tps.n, 2) << "a figure for each start";
  EXPECT_EQ(plain.load_ms.n, 2);
  EXPECT_GT(plain.ttft_ms.median, 0);
  ASSERT_TRUE((*trials)[1].error) << "one that can't start is a result";
  EXPECT_NE((*trials)[1].error->what.find("failed to load"), std::string::npos);
  EXPECT_EQ((*trials)[2].log_gains.size(), 2U);
  EXPECT_NEAR((*trials)[2].log_gains[0], 0, 1e-9);
  EXPECT_NEAR((*trials)[3].log_gains[0], std::log(2), 1e-9);
}

TEST_F(FakeMeterTest, WhatCannotStartIsAResultAlsoOfTheFirst) {
  const LlamaServerMeter nothing(FakeLlamaServer(tree_ / "llama-server", "no-memory"), {});
  const auto failed = nothing(Subjects(), {}, {});
  ASSERT_TRUE(failed.ok()) << failed.error().what;
  for (const SpeedTrial& trial : *failed) {
    ASSERT_TRUE(trial.error);
    EXPECT_EQ(trial.error->code, Code::kNoFit);
  }
  SpeedOptions options;
  options.prompt_tokens = 20;
  options.decode_tokens = 8;
  options.rounds = options.min_rounds = 1;
  const LlamaServerMeter meter(FakeLlamaServer(tree_ / "llama-server", "dislikes-64"), {});
  const auto trials = meter({Subjects()[1], Subjects()[0]}, options, {});
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_TRUE((*trials)[0].error);
  EXPECT_FALSE((*trials)[1].error);
  EXPECT_NEAR((*trials)[1].speed.decode_tps.median, 2000, 1e-6);
  EXPECT_TRUE((*trials)[1].log_gains.empty()) << "there is nothing to compare it with";
  options.race = true;
  const auto raced = meter({Subjects()[1], Subjects()[0]}, options, {});
  ASSERT_TRUE(raced.ok()) << raced.error().what;
  EXPECT_TRUE((*raced)[0].error);
}

TEST_F(FakeMeterTest, ThreeStartsAreMadeHoweverShortTheTime) {
  SpeedOptions options;
  options.prompt_tokens = 20;
  options.decode_tokens = 8;
  options.rounds = 12;
  options.processes = 4;
  options.budget_seconds = 0;
  const LlamaServerMeter meter(FakeLlamaServer(tree_ / "llama-server"), {});
  const auto trials = meter({Subjects()[0]}, options, {});
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_EQ((*trials)[0].speed.load_ms.n, 3);
  EXPECT_TRUE(FewerStarts((*trials)[0].speed, options).starts_with("3 of 4 starts were made"));
  options.processes = 3;
  EXPECT_EQ(FewerStarts((*trials)[0].speed, options), "");
}

TEST_F(FakeMeterTest, RoundsAreDividedAmongStarts) {
  SpeedOptions options;
  options.prompt_tokens = 20;
  options.decode_tokens = 8;
  options.rounds = 3;
  options.processes = 1;
  const LlamaServerMeter meter(FakeLlamaServer(tree_ / "llama-server"), {});
  const auto trials = meter({Subjects()[0]}, options, {});
  ASSERT_TRUE(trials.ok()) << trials.error().what;
  EXPECT_EQ((*trials)[0].speed.decode_tps.n, 3);
  EXPECT_EQ((*trials)[0].speed.load_ms.n, 1);
}

}  // namespace
}  // namespace trimma::meter_test
