#include <gtest/gtest.h>

#include "base/file.h"
#include "base/text.h"
#include "settings/files.h"

namespace trimma::llama_server_preset_test {
namespace {

Applied Example() {
  Applied applied;
  applied.name = "gemma";
  applied.model_path = "/models/g.gguf";
  applied.sampling = {0.7, 0.9, "balanced"};
  applied.trimma_version = "0.1.0";
  applied.engine_version = "llama.cpp v0.5.0 (de3ff815ea7d)";
  return applied;
}

std::string Named(const std::string& name) {
  Applied applied = Example();
  applied.name = name;
  const std::string text = *RenderLlamaServerPreset(applied);
  const size_t begin = text.find("\n[") + 1;
  return text.substr(begin, text.find("model = ", begin) - begin);
}

TEST(RenderLlamaServerPresetTest, WritesEveryOptionByItsLongName) {
  Applied applied = Example();
  applied.settings.threads = 6;
  applied.settings.threads_batch = 12;
  applied.settings.flash_attention = FlashAttention::kOn;
  applied.settings.kv_v = "q8_0";
  applied.settings.gpu_layers = 35;
  EXPECT_EQ(*RenderLlamaServerPreset(applied),
            "; Written by trimma 0.1.0 for gemma.\n"
            "; Checked against llama.cpp v0.5.0 (de3ff815ea7d): llama-server --models-preset FILE\n"
            "version = 1\n\n"
            "[gemma]\n"
            "model = /models/g.gguf\n"
            "ctx-size = 4096\n"
            "parallel = 1\n"
            "batch-size = 2048\n"
            "ubatch-size = 512\n"
            "threads = 6\n"
            "threads-batch = 12\n"
            "flash-attn = on\n"
            "cache-type-k = f16\n"
            "cache-type-v = q8_0\n"
            "n-gpu-layers = 35\n"
            "temp = 0.7\n"
            "top-p = 0.9\n");
}

TEST(RenderLlamaServerPresetTest, LeavesOutWhatHasNoValue) {
  const std::string text = *RenderLlamaServerPreset(Example());
  EXPECT_EQ(text.find("threads"), std::string::npos);
  EXPECT_EQ(text.find("n-gpu-layers"), std::string::npos);
  EXPECT_NE(text.find("flash-attn = auto\n"), std::string::npos);
}

TEST(RenderLlamaServerPresetTest, NamesAreSafeForItsGrammar) {
  EXPECT_EQ(Named("org/Model-1.5_x"), "[org/Model-1.5_x]\n");
  // A tag after ':' would be put into capitals, and "gemma3:4b" not found.
  EXPECT_EQ(Named("gemma3:4b"), "[gemma3-4b]\nalias = gemma3:4b\n");
  EXPECT_EQ(Named("a b"), "[a-b]\nalias = a b\n");
  EXPECT_EQ(Named("a]b[c"), "[a-b-c]\nalias = a]b[c\n");
  EXPECT_EQ(Named("*"), "[-]\nalias = *\n");
  EXPECT_EQ(Named("\u00E5"), "[--]\nalias = \u00E5\n");
}

TEST(RenderLlamaServerPresetTest, NamesThatNoAliasCanHoldGetNone) {
  EXPECT_EQ(Named(""), "[model]\n");
  EXPECT_EQ(Named("a,b"), "[a-b]\n");
  EXPECT_EQ(Named("a;b#c"), "[a-b-c]\n");
  EXPECT_EQ(Named(" a "), "[-a-]\n");
  EXPECT_EQ(Named("a\\"), "[a-]\n");
  EXPECT_EQ(Named("a]\nhost = 0.0.0.0\n["), "[a--host---0.0.0.0--]\n");
  EXPECT_EQ(Named("\u202Ea"), "[---a]\n");
  EXPECT_EQ(Named("\xFF"), "[-]\n");
  EXPECT_EQ(Named(std::string(10240, 'x')), "[" + std::string(200, 'x') + "]\n");
}

TEST(RenderLlamaServerPresetTest, KeepsPathsWithBlanksAndQuotes) {
  for (const char* path : {"/m/a b.gguf", "/m/\"a\".gguf", "/m/[a]=b.gguf", "/m/\u00E5.gguf"}) {
    Applied applied = Example();
    applied.model_path = path;
    const Result<std::string> text = RenderLlamaServerPreset(applied);
    ASSERT_TRUE(text.ok()) << path;
    EXPECT_NE(text->find(std::string("\nmodel = ") + path + "\n"), std::string::npos);
  }
}

TEST(RenderLlamaServerPresetTest, RefusesPathsThatItsGrammarCutsOff) {
  for (const char* path : {"/m/a;b", "/m/a#b", "/m/a\nport = 1", "/m/a\r", "/m/a ", "/m/a\\",
                           "/m/\xFF", "relative.gguf", ""}) {
    Applied applied = Example();
    applied.model_path = path;
    const Result<std::string> text = RenderLlamaServerPreset(applied);
    ASSERT_FALSE(text.ok()) << path;
    EXPECT_EQ(text.error().code, Code::kInvalid);
  }
}

TEST(LlamaServerCommandTest, IsTheSameAsOneLine) {
  Applied applied = Example();
  applied.settings.gpu_layers = 0;
  EXPECT_EQ(LlamaServerCommand(applied),
            "llama-server --model /models/g.gguf --ctx-size 4096 --parallel 1 --batch-size 2048 "
            "--ubatch-size 512 --flash-attn auto --cache-type-k f16 --cache-type-v f16 "
            "--n-gpu-layers 0 --temp 0.7 --top-p 0.9");
}

TEST(LlamaServerCommandTest, LeavesTheCardOutWholly) {
  Applied applied = Example();
  applied.settings.gpu_layers = 0;
  applied.settings.use_gpu = false;
  EXPECT_NE(LlamaServerCommand(applied).find(" --n-gpu-layers 0 --device none "),
            std::string::npos);
  EXPECT_NE(RenderLlamaServerPreset(applied)->find("\nn-gpu-layers = 0\ndevice = none\n"),
            std::string::npos);
}

TEST(LlamaServerCommandTest, QuotesForBash) {
  Applied applied = Example();
  applied.model_path = "/m/it's $(rm) `x`;.gguf";
  EXPECT_TRUE(LlamaServerCommand(applied).starts_with(
      "llama-server --model '/m/it'\\''s $(rm) `x`;.gguf' --ctx-size"));
}

TEST(RenderLlamaServerPresetTest, LoadsTheProjectorThatBelongsToTheModel) {
  Applied applied = Example();
  applied.projector_path = "/models/mmproj g.gguf";
  EXPECT_NE(RenderLlamaServerPreset(applied)->find("\nmmproj = /models/mmproj g.gguf\n"),
            std::string::npos);
  EXPECT_NE(LlamaServerCommand(applied).find(" --mmproj '/models/mmproj g.gguf' "),
            std::string::npos);
  applied.projector_path = "/models/a;b.gguf";
  EXPECT_EQ(RenderLlamaServerPreset(applied).error().code, Code::kInvalid);
}

Applied WithEverything() {
  Applied applied = Example();
  applied.projector_path = "/models/p.gguf";
  applied.settings.threads = 6;
  applied.settings.threads_batch = 12;
  applied.settings.gpu_layers = 35;
  applied.settings.use_gpu = false;
  applied.settings.host_tensors = {"blk\\.1\\."};
  applied.settings.load_mode = LoadMode::kRead;
  applied.settings.repack = false;
  return applied;
}

// An unknown key ends llama-server, and an unknown variable is ignored without a word.
TEST(RenderLlamaServerPresetTest, ThePinnedVersionKnowsEveryKeyAndVariable) {
  const auto known = ReadSmallFile(TRIMMA_ENGINE_SOURCE "/common/arg.cpp");
  ASSERT_TRUE(known.ok()) << known.error().what;
  const std::string preset = *RenderLlamaServerPreset(WithEverything());
  int keys = 0;
  for (const std::string& line : Split(preset.substr(preset.find(']')), '\n')) {
    const size_t equals = line.find(" = ");
    if (equals == std::string::npos) continue;
    ++keys;
    const std::string option = "\"--" + line.substr(0, equals) + "\"";
    EXPECT_NE(known->find(option), std::string::npos) << option;
  }
  EXPECT_EQ(keys, 18);
  int variables = 0;
  for (const std::string& line : Split(RenderLlamaServerEnvironment(WithEverything()), '\n')) {
    if (line.empty() || line.starts_with('#')) continue;
    ++variables;
    std::string name = line.substr(0, line.find('='));
    // A switch's "no" is read for every switch that has one.
    if (const size_t no = name.find("_NO_"); no != std::string::npos) name.erase(no, 3);
    EXPECT_NE(known->find("set_env(\"" + name + "\")"), std::string::npos) << name;
  }
  EXPECT_EQ(variables, 17) << "all but threads-batch";
}

TEST(RenderLlamaServerPresetTest, TheVariablesSayWhatTheCommandSays) {
  const std::string text = RenderLlamaServerEnvironment(WithEverything());
  for (const char* line : {"\nLLAMA_ARG_CTX_SIZE=4096\n", "\nLLAMA_ARG_NO_REPACK=true\n",
                           "\nLLAMA_ARG_OVERRIDE_TENSOR=\"blk\\\\.1\\\\.=CPU\"\n",
                           "\n# no variable says --threads-batch 12\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in" << text;
  }
  const std::vector<std::string> words = LlamaServerArguments(WithEverything());
  EXPECT_EQ(words[0], "--model");
  EXPECT_EQ(words[1], "/models/g.gguf");
}

}  // namespace
}  // namespace trimma::llama_server_preset_test
