// measure, tune and compare through a llama-server: a made-up one, whose figures are known, and a
// real one where TRIMMA_TEST_LLAMA_SERVER names one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>

#include "support/fake_llama_server.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::llama_server_cli_test {
namespace {

using Words = std::vector<std::string>;

class LlamaServerCli : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(box_ / "tiny.gguf");
    server_ = WriteFakeLlamaServer(box_ / "llama-server");
  }
  // The words, and what makes it go through the server.
  Words Through(Words words) const {
    for (const std::string& word : Words{"--through", "llama-server", "--llama-server", server_})
      words.push_back(word);
    return words;
  }
  const Sandbox box_;
  std::string server_;
};

TEST_F(LlamaServerCli, MeasureSaysWhatTheServerSays) {
  const Json document = ExpectDocument(
      box_, Through({"measure", "tiny.gguf", "--threads", "3", "--ubatch", "64", "--rounds", "3",
                     "--processes", "3", "--prompt-tokens", "20", "--decode-tokens", "5"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(document["schema"], "trimma.measure/1");
  EXPECT_EQ(document["through"]["name"], "llama-server");
  EXPECT_EQ(document["through"]["version"], "4567 (3e0ba0e6)");
  EXPECT_TRUE(document["through"]["why"].is_null());
  const Json& words = document["through"]["options"];
  EXPECT_NE(std::find(words.begin(), words.end(), "--ubatch-size"), words.end());
  EXPECT_EQ(std::find(words.begin(), words.end(), "--temp"), words.end());
  EXPECT_NEAR(document["speed"]["prefill_tps"]["median"].get<double>(), 6400, 1e-6);
  EXPECT_NEAR(document["speed"]["decode_tps"]["median"].get<double>(), 3000, 1e-6);
  EXPECT_EQ(document["speed"]["load_ms"]["n"], 3) << "starts";
  EXPECT_GT(document["speed"]["ttft_ms"]["median"].get<double>(), 0);
}

TEST_F(LlamaServerCli, WhatMeansNothingToItIsRefused) {
  ExpectRefused(box_, Through({"measure", "tiny.gguf", "--depth", "64"}), Code::kUsage, "--depth");
  ExpectRefused(box_, Through({"measure", "tiny.gguf", "--loads", "3"}), Code::kUsage, "--loads");
  ExpectRefused(box_, Through({"tune", "tiny.gguf", "--text", "text.txt"}), Code::kUsage, "--text");
  ExpectRefused(box_, Through({"tune", "tiny.gguf", "--users", "2", "--for", "batch"}),
                Code::kUsage, "--users");
  ExpectRefused(box_, {"tune", "tiny.gguf", "--draft", "tiny.gguf", "--through", "own"},
                Code::kUsage, "--draft");
  ExpectRefused(box_, Through({"measure", "tiny.gguf", "--against", "tiny.gguf", "--quality"}),
                Code::kUsage, "logits");
  ExpectRefused(box_, {"measure", "tiny.gguf", "--through", "ollama", "--llama-server", server_},
                Code::kUsage, "--llama-server");
  ExpectRefused(box_, {"measure", "tiny.gguf", "--llama-server", box_ / "absent"}, Code::kNotFound,
                "absent");
}

TEST_F(LlamaServerCli, AServerThatCannotStartIsSaid) {
  WriteFakeLlamaServer(server_, "dies");
  ExpectRefused(box_, Through({"measure", "tiny.gguf"}), Code::kFailure, "failed to load model");
  WriteFakeLlamaServer(server_, "no-memory");
  ExpectRefused(box_, Through({"measure", "tiny.gguf"}), Code::kNoFit, "ran out of memory");
}

TEST_F(LlamaServerCli, AFirstModelThatCannotStartLeavesTheOthersFigures) {
  WriteTinyModel(box_ / "bad.gguf");
  WriteFakeLlamaServer(server_, "dislikes-bad");
  const ProgramEnd end =
      box_.Run(Through({"measure", "bad.gguf", "tiny.gguf", "--rounds", "2", "--prompt-tokens",
                        "20", "--decode-tokens", "5", "--threads", "3", "--json"}));
  EXPECT_EQ(end.exit_code, static_cast<int>(Code::kFailure)) << end.err;
  const Json document = end.document();
  ASSERT_TRUE(document.is_object()) << end.out;
  EXPECT_TRUE(document["speed"].is_null());
  EXPECT_TRUE(document["models"][0].contains("error"));
  EXPECT_NEAR(document["models"][1]["speed"]["decode_tps"]["median"].get<double>(), 3000, 1e-6);
}

TEST_F(LlamaServerCli, ABudgetThatIsTooSmallIsSpokenOfAsTheUserGaveIt) {
  ExpectRefused(box_, Through({"tune", "tiny.gguf", "--budget", "1s", "--prompt-tokens", "20"}),
                Code::kUsage, "with what is kept for later steps");
}

TEST_F(LlamaServerCli, WhereNoSettingCanBeTriedGuessingMayStillBe) {
  const auto tune = [&](const std::string& budget) {
    return box_.Run(Through({"tune", "tiny.gguf", "--prompt-tokens", "20", "--threads", "1",
                             "--json", "--budget", budget}));
  };
  const ProgramEnd refused = tune("0.1s");
  std::smatch takes;
  ASSERT_TRUE(std::regex_search(refused.err, takes, std::regex(R"(--budget (\d+)s or more)")))
      << refused.err;
  const ProgramEnd end = tune(fmt::format("{:.1f}s", 0.7 * std::stod(takes[1])));
  // The machine may be slower or faster by now.
  if (end.exit_code == static_cast<int>(Code::kUsage)) GTEST_SKIP() << end.err;
  ASSERT_EQ(end.exit_code, 0) << end.err;
  const Json document = end.document();
  if (document.at("too_short").is_null()) GTEST_SKIP() << document["verdict"];
  EXPECT_TRUE(document["trials"].empty());
  EXPECT_FALSE(document["not_tried"].empty());
  EXPECT_EQ(document["best"]["settings"], document["default"]["settings"]);
  EXPECT_FALSE(document["speculation"]["trials"].empty()) << document["speculation"].dump(1);
}

TEST_F(LlamaServerCli, ADraftOfAnotherVocabularyIsRefusedBeforeAnythingStarts) {
  TinyModelOptions other;
  other.vocab = 500;
  WriteTinyModel(box_ / "other.gguf", other);
  WriteFakeLlamaServer(server_, "dies");
  ExpectRefused(box_, Through({"tune", "tiny.gguf", "--draft", "other.gguf"}), Code::kInvalid,
                "it has 500 tokens, the model 300");
}

TEST_F(LlamaServerCli, TuneFindsTheSettingsAndTheSpeculation) {
  WriteFakeLlamaServer(server_, "card");
  const Json document = ExpectDocument(
      box_, Through({"tune", "tiny.gguf", "--threads", "1", "--threads-batch", "1", "--ubatch",
                     "64", "--prompt-tokens", "64", "--answer-tokens", "16", "--context", "256",
                     "--budget", "25s", "--draft", "tiny.gguf"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(document["schema"], "trimma.tune/1");
  EXPECT_EQ(document["through"]["name"], "llama-server");
  // The made-up server's prompts are as fast as the batch is large, answers as threads are many.
  ASSERT_FALSE(document["trials"].empty());
  std::string why;
  for (const Json& item : document["not_tried"]) why += item["why"].get<std::string>() + "\n";
  EXPECT_NE(why.find("--max-kld"), std::string::npos) << why;
  EXPECT_NE(why.find("log doesn't say how many"), std::string::npos) << why;
  for (const Json& word : document["command"]) EXPECT_NE(word, "--n-gpu-layers");
  const Json& speculation = document["speculation"];
  EXPECT_EQ(speculation["text"], "the model's continuations to 4 prompts of ours");
  EXPECT_EQ(speculation["trials"].size(), 5U) << "three lengths of drafts, two n-grams";
  EXPECT_TRUE(speculation["not_tried"].empty());
  EXPECT_EQ(document["command"][0], server_);
}

TEST_F(LlamaServerCli, CompareAnswersSideBySide) {
  TinyModelOptions other;
  other.seed = 2;
  WriteTinyModel(box_ / "other.gguf", other);
  const Json document = ExpectDocument(
      box_, Through({"compare", "tiny.gguf", "other.gguf", "--skip", "quality", "--rounds", "3",
                     "--answer-tokens", "4", "--prompt-tokens", "10", "--decode-tokens", "4"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(document["through"]["name"], "llama-server");
  EXPECT_FALSE(document["through"]["options"].empty());
  ASSERT_EQ(document["models"].size(), 2U);
  EXPECT_NEAR(document["models"][1]["speed"]["decode_tps"]["median"].get<double>(), 1000, 1e-6);
  ASSERT_EQ(document["answers"].size(), 4U);
  EXPECT_NE(document["answers"][0]["answers"][1]["text"].get<std::string>().find("one two three"),
            std::string::npos);
}

TEST(RealLlamaServer, MeasuresAndTunesATinyModel) {
  if (RealLlamaServer().empty()) GTEST_SKIP() << "TRIMMA_TEST_LLAMA_SERVER names none";
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Words through = {"--through", "llama-server", "--llama-server", RealLlamaServer()};
  const auto with = [&](Words words) {
    words.insert(words.end(), through.begin(), through.end());
    return words;
  };
  RunOptions options;
  options.seconds = 300;
  const Json measured =
      ExpectDocument(box,
                     with({"measure", "tiny.gguf", "--rounds", "3", "--processes", "2",
                           "--prompt-tokens", "32", "--decode-tokens", "8", "--threads", "1"}),
                     options);
  ASSERT_FALSE(HasFailure());
  EXPECT_GT(measured["speed"]["prefill_tps"]["median"].get<double>(), 0);
  EXPECT_GT(measured["speed"]["decode_tps"]["median"].get<double>(), 0);
  EXPECT_EQ(measured["speed"]["prompt_tokens"], 32);
  const Json compared = ExpectDocument(box,
                                       with({"compare", "tiny.gguf", "./tiny.gguf", "--skip",
                                             "quality,speed", "--answer-tokens", "8"}),
                                       options);
  ASSERT_FALSE(HasFailure());
  for (const Json& prompt : compared["answers"])
    EXPECT_EQ(prompt["answers"][0]["text"], prompt["answers"][1]["text"]) << "the same model";
}

}  // namespace
}  // namespace trimma::llama_server_cli_test
