#include "llama_server/arguments.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "settings/files.h"

namespace trimma::arguments_test {
namespace {

using Words = std::vector<std::string>;

// Knows all that the pinned version's command line names.
LlamaServerProgram NewServer(const Applied& applied) {
  LlamaServerProgram program;
  program.version = "new";
  for (const std::string& word : LlamaServerArguments(applied))
    if (word.starts_with("--")) program.options[word] = {"VALUE"};
  return program;
}

Applied AllSet() {
  Applied applied;
  applied.model_path = "/m.gguf";
  applied.settings.threads = 3;
  applied.settings.threads_batch = 4;
  applied.settings.gpu_layers = 5;
  applied.settings.load_mode = LoadMode::kRead;
  applied.settings.repack = false;
  applied.settings.use_gpu = false;
  applied.settings.host_tensors = {"exps"};
  return applied;
}

TEST(FitArgumentsTest, ANewServerGetsAllButTheSampling) {
  const Applied applied = AllSet();
  const auto fitted = FitArguments(NewServer(applied), applied);
  ASSERT_TRUE(fitted.ok()) << fitted.error().what;
  Words expected = LlamaServerArguments(applied);
  const auto sampling = std::find(expected.begin(), expected.end(), "--temp");
  expected.erase(sampling, expected.end());
  EXPECT_EQ(fitted->words, expected);
  EXPECT_TRUE(fitted->notes.empty());
}

// What a server of early 2025 knows.
LlamaServerProgram OldServer() {
  LlamaServerProgram program;
  program.version = "b4500";
  for (const char* name : {"--model", "--ctx-size", "--parallel", "--batch-size", "--ubatch-size",
                           "--threads", "--threads-batch", "--cache-type-k", "--cache-type-v",
                           "--n-gpu-layers", "--device", "--draft-max", "--model-draft"})
    program.options[name] = {"N"};
  for (const char* name : {"--flash-attn", "--no-mmap", "--mlock"}) program.options[name] = {""};
  return program;
}

TEST(FitArgumentsTest, AnOldServerGetsItsOwnSwitches) {
  Applied applied;
  applied.model_path = "/m.gguf";
  applied.settings.flash_attention = FlashAttention::kOn;
  applied.settings.load_mode = LoadMode::kRead;
  const auto fitted = FitArguments(OldServer(), applied);
  ASSERT_TRUE(fitted.ok()) << fitted.error().what;
  EXPECT_EQ(fitted->words, (Words{"--model", "/m.gguf", "--ctx-size", "4096", "--parallel", "1",
                                  "--batch-size", "2048", "--ubatch-size", "512", "--flash-attn",
                                  "--cache-type-k", "f16", "--cache-type-v", "f16", "--no-mmap"}));
  applied.settings.load_mode = LoadMode::kMappedLocked;
  applied.settings.flash_attention = FlashAttention::kAuto;
  const auto other = FitArguments(OldServer(), applied);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(std::count(other->words.begin(), other->words.end(), "--flash-attn"), 0);
  EXPECT_EQ(other->words.back(), "--mlock");
  EXPECT_EQ(other->notes.size(), 1U) << "what it does in place of auto";
}

TEST(FitArgumentsTest, WhatItCannotBeToldIsRefused) {
  Applied applied;
  applied.model_path = "/m.gguf";
  applied.settings.repack = false;
  const auto fitted = FitArguments(OldServer(), applied);
  ASSERT_FALSE(fitted.ok());
  EXPECT_EQ(fitted.error().code, Code::kUsage);
  EXPECT_NE(fitted.error().what.find("--no-repack"), std::string::npos);
}

TEST(SpeculationsToTryTest, OnlyWhatTheVersionKnows) {
  const Speculations old = SpeculationsToTry(OldServer(), "/small.gguf");
  ASSERT_EQ(old.tried.size(), 3U);
  EXPECT_EQ(SpeculationWords(OldServer(), old.tried[0]),
            (Words{"--model-draft", "/small.gguf", "--draft-max", "3"}));
  ASSERT_EQ(old.not_tried.size(), 1U);
  EXPECT_EQ(old.not_tried[0].first, "speculation by n-grams");

  LlamaServerProgram server = OldServer();
  server.speculation_types = {"draft-simple", "ngram-simple"};
  for (const char* name : {"--spec-draft-n-max", "--spec-type", "--spec-ngram-simple-size-n",
                           "--spec-ngram-simple-size-m"})
    server.options[name] = {"N"};
  const Speculations some = SpeculationsToTry(server, "");
  ASSERT_EQ(some.tried.size(), 2U);
  EXPECT_EQ(SpeculationWords(server, some.tried[0]),
            (Words{"--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "4",
                   "--spec-ngram-simple-size-m", "12"}));
  ASSERT_EQ(some.not_tried.size(), 1U);
  EXPECT_NE(some.not_tried[0].second.find("--draft"), std::string::npos);
  EXPECT_EQ(SpeculationWords(server, SpeculationsToTry(server, "/s.gguf").tried.back()),
            (Words{"--spec-type", "draft-simple", "--model-draft", "/s.gguf", "--spec-draft-n-max",
                   "16"}));
}

}  // namespace
}  // namespace trimma::arguments_test
