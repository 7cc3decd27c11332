#include <gtest/gtest.h>

#include <limits>

#include "settings/files.h"

namespace trimma::modelfile_test {
namespace {

Applied Example() {
  Applied applied;
  applied.name = "gemma3:4b";
  applied.model_path = "/models/gemma 3.gguf";
  applied.settings.context = 16384;
  applied.settings.ubatch = 256;
  applied.sampling = {0.7, 0.9, "balanced"};
  applied.trimma_version = "0.1.0";
  return applied;
}

bool HasLine(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(RenderModelfileTest, NamesTheModelAndItsParameters) {
  const Result<std::string> text = RenderModelfile(Example());
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(text->starts_with("# Written by trimma 0.1.0 for gemma3:4b.\n"));
  EXPECT_NE(text->find("hecked against Ollama's parser of v0.33.0-rc2"), std::string::npos);
  EXPECT_TRUE(HasLine(*text, "FROM /models/gemma 3.gguf"));
  EXPECT_TRUE(HasLine(*text, "PARAMETER num_ctx 16384"));
  EXPECT_TRUE(HasLine(*text, "PARAMETER temperature 0.7"));
  EXPECT_TRUE(HasLine(*text, "PARAMETER top_p 0.9"));
  EXPECT_EQ(text->find("num_gpu"), std::string::npos);
  EXPECT_EQ(text->find("num_thread"), std::string::npos);
}

TEST(RenderModelfileTest, OptionalParametersOnlyWithAValue) {
  Applied applied = Example();
  applied.settings.gpu_layers = 0;
  applied.settings.threads = 6;
  const Result<std::string> text = RenderModelfile(applied);
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(HasLine(*text, "PARAMETER num_gpu 0"));
  EXPECT_TRUE(HasLine(*text, "PARAMETER num_thread 6"));
}

TEST(RenderModelfileTest, NoLayersAreNoCardToOllama) {
  Applied applied = Example();
  applied.settings.use_gpu = false;
  const Result<std::string> text = RenderModelfile(applied);
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(HasLine(*text, "PARAMETER num_gpu 0"));
  EXPECT_NE(text->find("no graphics card at all"), std::string::npos);
}

// Ollama passes num_batch as -b and as -ub: the logical size there would grow the buffers.
TEST(RenderModelfileTest, WhatOllamaCannotHoldIsSaid) {
  EXPECT_TRUE(NotHeldByOllama({}).empty());
  Applied applied = Example();
  applied.settings.load_mode = LoadMode::kMappedLocked;
  applied.settings.repack = false;
  const auto lost = NotHeldByOllama(applied.settings);
  ASSERT_EQ(lost.size(), 2U);
  const auto text = RenderModelfile(applied);
  ASSERT_TRUE(text.ok());
  for (const std::string& words : lost) EXPECT_NE(text->find(": " + words), std::string::npos);
}

TEST(RenderModelfileTest, NumBatchIsThePhysicalBatch) {
  EXPECT_TRUE(HasLine(*RenderModelfile(Example()), "PARAMETER num_batch 256"));
}

TEST(RenderModelfileTest, QuotesAPathThatEndsInABlank) {
  Applied applied = Example();
  applied.model_path = "/m/a\" ";
  EXPECT_TRUE(HasLine(*RenderModelfile(applied), "FROM \"/m/a\" \""));
}

TEST(RenderModelfileTest, OtherOddPathsStandBare) {
  for (const char* path : {"/m/\"a\".gguf", "/m/'a'.gguf", "/m/#a.gguf", "/m/a\"",
                           "/m/\u00E5\u6F22.gguf", "/m/$(x)\\n.gguf"}) {
    Applied applied = Example();
    applied.model_path = path;
    const Result<std::string> text = RenderModelfile(applied);
    ASSERT_TRUE(text.ok()) << path;
    EXPECT_TRUE(HasLine(*text, std::string("FROM ") + path));
  }
}

TEST(RenderModelfileTest, RefusesPathsThatTheParserWouldChange) {
  for (const char* path : {"/m/a\nFROM b", "/m/a\rb", "/m/a\tb", "/m/\x1b[31m", "/m/\u202Ea",
                           "/m/a\u00A0b", "/m/\u200Ba", "/m/\u3000", "/m/\xFF", "m.gguf", ""}) {
    Applied applied = Example();
    applied.model_path = path;
    const Result<std::string> text = RenderModelfile(applied);
    ASSERT_FALSE(text.ok()) << path;
    EXPECT_EQ(text.error().code, Code::kInvalid);
    EXPECT_FALSE(text.error().hint.empty());
  }
}

TEST(RenderModelfileTest, AHostileNameStaysInItsComment) {
  Applied applied = Example();
  applied.name = "x\nSYSTEM \"evil\"\r\nFROM /y";
  applied.trimma_version = "1\nFROM /z";
  const Result<std::string> text = RenderModelfile(applied);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->find("\nSYSTEM"), std::string::npos);
  EXPECT_EQ(text->find("\nFROM /y"), std::string::npos);
  EXPECT_EQ(text->find("\nFROM /z"), std::string::npos);
}

TEST(RenderModelfileTest, RefusesSamplingThatIsNoNumber) {
  Applied applied = Example();
  applied.sampling.temperature = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(RenderModelfile(applied).ok());
  applied = Example();
  applied.sampling.top_p = -0.1;
  EXPECT_FALSE(RenderModelfile(applied).ok());
}

}  // namespace
}  // namespace trimma::modelfile_test
