#include <gtest/gtest.h>

#include "base/text.h"
#include "settings/files.h"

namespace trimma {
namespace {

Applied WithKv(const std::string& k, const std::string& v) {
  Applied applied;
  applied.name = "gemma3:4b";
  applied.model_path = "/m.gguf";
  applied.settings.kv_k = k;
  applied.settings.kv_v = v;
  return applied;
}

// Only what sets a variable.
std::string Assignments(const Applied& applied) {
  std::string result;
  for (const std::string& line : Split(RenderEnvironment(applied), '\n')) {
    if (!line.empty() && !line.starts_with('#')) result += line + " ";
  }
  return result;
}

TEST(RenderEnvironmentTest, OneTypeForBothIsOllamasOwnVariable) {
  for (const std::string type : {"f16", "q8_0", "q4_0"}) {
    EXPECT_EQ(Assignments(WithKv(type, type)),
              "OLLAMA_KV_CACHE_TYPE=" + type + " OLLAMA_CONTEXT_LENGTH=4096 ");
  }
}

TEST(RenderEnvironmentTest, TwoTypesAndOtherTypesArePassedThrough) {
  EXPECT_EQ(Assignments(WithKv("q8_0", "f16")),
            "LLAMA_ARG_CACHE_TYPE_K=q8_0 LLAMA_ARG_CACHE_TYPE_V=f16 OLLAMA_CONTEXT_LENGTH=4096 ");
  EXPECT_EQ(Assignments(WithKv("q5_1", "q5_1")),
            "LLAMA_ARG_CACHE_TYPE_K=q5_1 LLAMA_ARG_CACHE_TYPE_V=q5_1 OLLAMA_CONTEXT_LENGTH=4096 ");
}

TEST(RenderEnvironmentTest, FlashAttentionOnlyWhereItIsDecided) {
  Applied applied = WithKv("f16", "f16");
  EXPECT_EQ(Assignments(applied).find("FLASH"), std::string::npos);
  applied.settings.flash_attention = FlashAttention::kOn;
  EXPECT_NE(Assignments(applied).find("OLLAMA_FLASH_ATTENTION=1 "), std::string::npos);
  applied.settings.flash_attention = FlashAttention::kOff;
  EXPECT_NE(Assignments(applied).find("OLLAMA_FLASH_ATTENTION=0 "), std::string::npos);
}

TEST(RenderEnvironmentTest, SaysWhatOllamaDoesNotRead) {
  const std::string text = RenderEnvironment(WithKv("f16", "f16"));
  for (const char* name : {"OLLAMA_NUM_GPU", "OLLAMA_NUM_CTX", "OLLAMA_NUM_THREAD",
                           "OLLAMA_GPU_LAYERS", "v0.33.0-rc2"}) {
    EXPECT_NE(text.find(name), std::string::npos) << name;
  }
}

TEST(RenderEnvironmentTest, NothingHostileBecomesAVariable) {
  Applied applied = WithKv("f16\nLD_PRELOAD=/x", "$\"`\\");
  applied.name = "x\nLD_PRELOAD=/x.so";
  applied.trimma_version = "1\r\nLD_PRELOAD=/x.so";
  const std::string text = RenderEnvironment(applied);
  EXPECT_EQ(text.find("\nLD_PRELOAD=/x.so"), std::string::npos);
  EXPECT_NE(text.find("LLAMA_ARG_CACHE_TYPE_K=\"f16\nLD_PRELOAD=/x\"\n"), std::string::npos);
  EXPECT_NE(text.find("LLAMA_ARG_CACHE_TYPE_V=\"\\$\\\"\\`\\\\\"\n"), std::string::npos);
}

}  // namespace
}  // namespace trimma
