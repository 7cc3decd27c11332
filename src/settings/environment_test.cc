#include <gtest/gtest.h>

#include "base/text.h"
#include "settings/files.h"
#include "settings/ollama_versions.h"

namespace trimma::environment_test {
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
std::string Assignments(const Applied& applied, const EnvironmentTarget& target = {}) {
  std::string result;
  for (const std::string& line : Split(RenderEnvironment(applied, target), '\n')) {
    if (!line.empty() && !line.starts_with('#')) result += line + " ";
  }
  return result;
}

TEST(RenderEnvironmentTest, OneTypeForBothIsOllamasOwnVariable) {
  EXPECT_EQ(Assignments(WithKv("f16", "f16")),
            "OLLAMA_KV_CACHE_TYPE=f16 OLLAMA_CONTEXT_LENGTH=4096 ");
  for (const std::string type : {"q8_0", "q4_0"}) {
    EXPECT_EQ(
        Assignments(WithKv(type, type)),
        "OLLAMA_KV_CACHE_TYPE=" + type + " OLLAMA_FLASH_ATTENTION=1 OLLAMA_CONTEXT_LENGTH=4096 ")
        << "a version that isn't known may ignore it without";
  }
}

TEST(RenderEnvironmentTest, TwoTypesAndOtherTypesArePassedThrough) {
  EXPECT_EQ(Assignments(WithKv("q8_0", "f16")),
            "LLAMA_ARG_CACHE_TYPE_K=q8_0 LLAMA_ARG_CACHE_TYPE_V=f16 OLLAMA_FLASH_ATTENTION=1 "
            "OLLAMA_CONTEXT_LENGTH=4096 ");
  EXPECT_EQ(Assignments(WithKv("q5_1", "q5_1")),
            "LLAMA_ARG_CACHE_TYPE_K=q5_1 LLAMA_ARG_CACHE_TYPE_V=q5_1 OLLAMA_FLASH_ATTENTION=1 "
            "OLLAMA_CONTEXT_LENGTH=4096 ");
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

TEST(RenderEnvironmentTest, OnlyWhatThatVersionReadsIsSet) {
  const Applied apart = WithKv("q8_0", "f16");
  EXPECT_EQ(Assignments(apart, {"0.17.4", "", 512}),
            "OLLAMA_FLASH_ATTENTION=1 OLLAMA_CONTEXT_LENGTH=4096 ");
  EXPECT_NE(RenderEnvironment(apart, {"0.17.4", "", 512}).find("needs Ollama 0.30"),
            std::string::npos);
  EXPECT_EQ(Assignments(apart, {"0.33.0", "30m", 512}),
            "LLAMA_ARG_CACHE_TYPE_K=q8_0 LLAMA_ARG_CACHE_TYPE_V=f16 OLLAMA_CONTEXT_LENGTH=4096 "
            "OLLAMA_KEEP_ALIVE=30m LLAMA_ARG_FIT_TARGET=512 ");
  EXPECT_EQ(Assignments(WithKv("q8_0", "q8_0"), {"0.17.4", "", {}}),
            "OLLAMA_KV_CACHE_TYPE=q8_0 OLLAMA_FLASH_ATTENTION=1 OLLAMA_CONTEXT_LENGTH=4096 ");
  Applied two = WithKv("f16", "f16");
  two.settings.parallel = 2;
  EXPECT_NE(Assignments(two).find("OLLAMA_NUM_PARALLEL=2 "), std::string::npos);
}

TEST(RenderEnvironmentTest, ADropInHoldsTheSameVariables) {
  const std::string text =
      RenderSystemdDropIn(WithKv("f16", "f16"), {"0.17.4", "5m\nLD_PRELOAD=/x", {}});
  EXPECT_NE(text.find("\n[Service]\n"), std::string::npos);
  EXPECT_NE(text.find("\nEnvironment=\"OLLAMA_KV_CACHE_TYPE=f16\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nEnvironment=\"OLLAMA_KEEP_ALIVE=5m\\nLD_PRELOAD=/x\"\n"),
            std::string::npos)
      << text;
}

TEST(OllamaVersionsTest, EveryRowHasASourceAndIsRead) {
  EXPECT_EQ(HasTrait(OllamaTrait::kRunsLlamaServer, "0.17.4"), false);
  EXPECT_EQ(HasTrait(OllamaTrait::kRunsLlamaServer, "v0.33.0-rc2"), true);
  EXPECT_EQ(HasTrait(OllamaTrait::kRunsLlamaServer, "1.0"), true);
  EXPECT_EQ(HasTrait(OllamaTrait::kRunsLlamaServer, "0.30.0-rc1"), true) << "as its release";
  EXPECT_LT(*ParseOllamaVersion("0.35.0-rc1"), *ParseOllamaVersion(" v0.35.0+x\n"));
  EXPECT_LT(*ParseOllamaVersion("0.9.10"), *ParseOllamaVersion("0.10.0-rc1"));
  EXPECT_EQ(HasTrait(OllamaTrait::kKvNeedsFlashSet, "0.12.3"), std::nullopt) << "nobody looked";
  for (const char* unknown : {"", "0.0.0", "x", "1.2.3.4", "-1", "1..2"})
    EXPECT_EQ(HasTrait(OllamaTrait::kRunsLlamaServer, unknown), std::nullopt) << unknown;
  for (const OllamaTraitRow& row : OllamaTraits()) {
    EXPECT_NE(std::string_view(row.source), "") << row.name;
    EXPECT_TRUE(ParseOllamaVersion(row.from).has_value()) << row.name;
  }
}

}  // namespace
}  // namespace trimma::environment_test
