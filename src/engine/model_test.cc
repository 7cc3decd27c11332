#include "engine/model.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "engine/engine.h"
#include "engine/mapped_pages.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::model_test {
namespace {

Model Loaded(const std::string& path) {
  Result<Model> model = Model::Load(path, {});
  CHECK(model.ok());
  return std::move(model).value();
}

Context Opened(const Model& model, const Context::Options& options = {}) {
  Result<Context> context = Context::Create(model, options);
  CHECK(context.ok());
  return std::move(context).value();
}

std::vector<float> Copied(const float* logits, const Model& model) {
  return {logits, logits + model.vocabulary()};
}

std::vector<BatchToken> Batch(const std::vector<Token>& tokens) {
  std::vector<BatchToken> batch;
  for (const Token token : tokens)
    batch.push_back({token, static_cast<int>(batch.size()), 0, true});
  return batch;
}

TEST(ModelTest, WithoutTextsItComputesTheSame) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  const auto with = Model::Load(path, {});
  Model::Options options;
  options.texts = false;
  const auto without = Model::Load(path, options);
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_EQ(without->vocabulary(), with->vocabulary());
  Context a = Opened(*with);
  Context b = Opened(*without);
  ASSERT_TRUE(a.Append(std::vector<Token>{1, 7, 9}).ok());
  ASSERT_TRUE(b.Append(std::vector<Token>{1, 7, 9}).ok());
  EXPECT_EQ(Copied(a.Logits(-1), *with), Copied(b.Logits(-1), *without));
}

// Of the mapping of this file, from /proc/self/smaps.
std::string ResidentText(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    here = here || line.ends_with(path);
    if (here && line.starts_with("Rss:")) return line;
  }
  return "";
}

TEST(MappedPagesTest, AreLetGoAndComeBack) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf");
  const size_t bytes = std::filesystem::file_size(path);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  ASSERT_NE(mapped, MAP_FAILED);
  const std::string_view text(static_cast<const char*>(mapped), bytes);
  const size_t before = std::hash<std::string_view>()(text);
  EXPECT_EQ(ResidentText(path).find(" 0 kB"), std::string::npos);
  ReleaseMappedPages({path, "/nowhere.gguf"});
  EXPECT_NE(ResidentText(path).find(" 0 kB"), std::string::npos) << ResidentText(path);
  EXPECT_EQ(std::hash<std::string_view>()(text), before);
  munmap(mapped, bytes);
}

TEST(EngineTest, StartsWithItsCpuBackendHoweverOftenItIsAsked) {
  ASSERT_TRUE(StartEngine().ok());
  ASSERT_TRUE(StartEngine().ok());
  const std::vector<std::string> backends = EngineBackends();
  EXPECT_EQ(std::count(backends.begin(), backends.end(), "CPU"), 1);
}

// What a card's backend says comes first, and names its own function (as an H100 that was full).
TEST(EngineTest, NoRoomIsToldWhicheverBackendSaysItFirst) {
  ASSERT_TRUE(StartEngine().ok());
  ggml_log_callback log = nullptr;
  void* user = nullptr;
  llama_log_get(&log, &user);
  ASSERT_NE(log, nullptr);
  (void)TakeEngineWords();
  const char* first =
      "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 1994.88 MiB on device 0: cudaMalloc "
      "failed: out of memory\n";
  log(GGML_LOG_LEVEL_ERROR, first, user);
  log(GGML_LOG_LEVEL_ERROR, "alloc_tensor_range: failed to allocate CUDA0 buffer of size 7\n",
      user);
  log(GGML_LOG_LEVEL_ERROR,
      "llama_model_load: error loading model: unable to allocate CUDA0 buffer\n", user);
  const EngineWords words = TakeEngineWords();
  EXPECT_TRUE(words.no_room);
  EXPECT_NE(words.said.find("cudaMalloc failed"), std::string::npos) << words.said;
  EXPECT_FALSE(TakeEngineWords().no_room);
  log(GGML_LOG_LEVEL_ERROR, "llama_model_load: error loading model: missing tensor\n", user);
  EXPECT_FALSE(TakeEngineWords().no_room);
}

TEST(ModelTest, KnowsWhatTheFileHolds) {
  const TempTree tree;
  TinyModelOptions options;
  options.layers = 3;
  options.vocab = 317;
  options.context = 640;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf", options));
  EXPECT_EQ(model.vocabulary(), 317);
  EXPECT_EQ(model.trained_context(), 640);
  EXPECT_EQ(model.layers(), 4) << "as -ngl counts: with the output layer";
  EXPECT_TRUE(model.adds_bos());
  EXPECT_EQ(model.bos(), 1);
  EXPECT_TRUE(model.IsEndOfGeneration(2));
  EXPECT_FALSE(model.IsEndOfGeneration(100));
}

TEST(ModelTest, TextSurvivesTheRoundTripThroughTokens) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  const std::string text = "abc räksmörgås\n" + std::string(3000, '~');
  const std::vector<Token> tokens = model.Tokenize(text, /*add_special=*/true);
  ASSERT_GT(tokens.size(), 3000U);
  EXPECT_EQ(tokens[0], model.bos());
  EXPECT_EQ(model.Tokenize(text, false).size() + 1, tokens.size());
  EXPECT_NE(model.Detokenize(tokens).find(text), std::string::npos);
  EXPECT_EQ(model.Tokenize("", false).size(), 0U);
  EXPECT_EQ(model.Detokenize({}), "");
}

TEST(ModelTest, SpecialTokensInATextAreOnlyText) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  const std::vector<Token> tokens = model.Tokenize("</s>", false);
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 2), 0);
  EXPECT_GT(tokens.size(), 1U);
}

TEST(ModelTest, VocabulariesAreComparedByTheirTexts) {
  const TempTree tree;
  TinyModelOptions options;
  const Model a = Loaded(WriteTinyModel(tree / "a.gguf", options));
  options.seed = 2;  // other weights, the same words
  const Model b = Loaded(WriteTinyModel(tree / "b.gguf", options));
  EXPECT_TRUE(a.SameVocabulary(b));
  options.vocab = 301;
  const Model larger = Loaded(WriteTinyModel(tree / "larger.gguf", options));
  EXPECT_FALSE(a.SameVocabulary(larger));
  TinyModel tiny = MakeTinyModel();
  Array tokens = *tiny.metadata.FindArray("tokenizer.ggml.tokens");
  const Strings words = std::get<Strings>(tokens.elements);
  Strings others;
  for (size_t i = 0; i < words.size(); ++i) others.push_back(i == 280 ? "another" : words[i]);
  tokens.elements = others;
  tiny.metadata.Set("tokenizer.ggml.tokens", tokens);
  tree.Write("other.gguf", Assemble(tiny));
  EXPECT_FALSE(a.SameVocabulary(Loaded(tree / "other.gguf")));
}

TEST(ModelTest, AMissingOrDamagedFileIsAnError) {
  const TempTree tree;
  EXPECT_EQ(Model::Load(tree / "none.gguf", {}).error().code, Code::kNotFound);
  const std::string bytes = Assemble(MakeTinyModel());
  tree.Write("cut.gguf", bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(Model::Load(tree / "cut.gguf", {}).error().code, Code::kInvalid);
  tree.Write("text.gguf", "this is no model");
  EXPECT_EQ(Model::Load(tree / "text.gguf", {}).error().code, Code::kInvalid);
}

TEST(ModelTest, WhatTheEngineRefusesIsInvalidWithTheEnginesWords) {
  const TempTree tree;
  TinyModel unknown = MakeTinyModel();
  unknown.metadata.Set("general.architecture", std::string("unheard-of"));
  unknown.metadata.Set("unheard-of.block_count", uint32_t{2});
  unknown.metadata.Set("unheard-of.context_length", uint32_t{512});
  unknown.metadata.Set("unheard-of.embedding_length", uint32_t{64});
  unknown.metadata.Set("unheard-of.attention.head_count", uint32_t{4});
  tree.Write("unknown.gguf", Assemble(unknown));
  const auto model = Model::Load(tree / "unknown.gguf", {});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, Code::kInvalid);
  EXPECT_NE(model.error().what.find("unheard-of"), std::string::npos) << model.error().what;

  TinyModel lacking = MakeTinyModel();
  lacking.tensors.pop_back();
  lacking.data.pop_back();
  tree.Write("lacking.gguf", Assemble(lacking));
  EXPECT_EQ(Model::Load(tree / "lacking.gguf", {}).error().code, Code::kInvalid);
}

TEST(ContextTest, ABatchGivesWhatTokenByTokenGives) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  const std::vector<Token> tokens = {1, 100, 50, 290, 7};
  Context together = Opened(model);
  ASSERT_TRUE(together.Decode(Batch(tokens)).ok());
  Context apart = Opened(model);
  for (size_t i = 0; i < tokens.size(); ++i) {
    ASSERT_TRUE(apart.Append({&tokens[i], 1}).ok());
    const std::vector<float> a = Copied(together.Logits(static_cast<int>(i)), model);
    const std::vector<float> b = Copied(apart.Logits(0), model);
    for (size_t t = 0; t < a.size(); ++t) ASSERT_NEAR(a[t], b[t], 2e-2) << i << " " << t;
  }
}

TEST(ContextTest, AClearedCacheForgets) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  Context context = Opened(model);
  const std::vector<Token> first = {1, 60};
  ASSERT_TRUE(context.Append(first).ok());
  const std::vector<float> fresh = Copied(context.Logits(-1), model);
  ASSERT_TRUE(context.Append(first).ok());
  EXPECT_NE(Copied(context.Logits(-1), model), fresh) << "it now follows what stood before";
  context.Clear();
  ASSERT_TRUE(context.Append(first).ok());
  EXPECT_EQ(Copied(context.Logits(-1), model), fresh);
}

TEST(ContextTest, SequencesDoNotSeeEachOther) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  Context::Options options;
  options.sequences = 2;
  Context both = Opened(model, options);
  const std::vector<BatchToken> mixed = {
      {1, 0, 0, false}, {1, 0, 1, false}, {60, 1, 0, true}, {200, 1, 1, true}};
  ASSERT_TRUE(both.Decode(mixed).ok());
  for (const int s : {0, 1}) {
    Context alone = Opened(model);
    const std::vector<Token> tokens = {1, s == 0 ? 60 : 200};
    ASSERT_TRUE(alone.Append(tokens).ok());
    const std::vector<float> a = Copied(both.Logits(2 + s), model);
    const std::vector<float> b = Copied(alone.Logits(-1), model);
    for (size_t t = 0; t < a.size(); ++t) ASSERT_NEAR(a[t], b[t], 2e-2);
  }
}

TEST(ContextTest, MoreTokensThanTheCacheHoldsAreAnError) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  Context::Options options;
  options.settings.context = 256;
  Context context = Opened(model, options);
  ASSERT_TRUE(context.Append(std::vector<Token>(256, 5)).ok());
  const Status status = context.Append(std::vector<Token>(1, 5));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kFailure);
}

TEST(ContextTest, SettingsThatCannotWorkAreAUsageError) {
  const TempTree tree;
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf"));
  Context::Options options;
  options.settings.kv_v = "q8_0";
  options.settings.flash_attention = FlashAttention::kOff;
  EXPECT_EQ(Context::Create(model, options).error().code, Code::kUsage);
  options.settings.kv_v = "f16";
  EXPECT_TRUE(Context::Create(model, options).ok());
  options.settings.kv_k = "q9_9";
  EXPECT_EQ(Context::Create(model, options).error().code, Code::kUsage);
}

TEST(ContextTest, EveryKvTypeAndFlashAttentionAnswersAlike) {
  const TempTree tree;
  TinyModelOptions shape;
  shape.embedding = 128;  // heads of 32: a block of the quantised types
  const Model model = Loaded(WriteTinyModel(tree / "tiny.gguf", shape));
  const std::vector<Token> tokens = {1, 30, 150, 99, 260, 12};
  Context plain = Opened(model);
  ASSERT_TRUE(plain.Append(tokens).ok());
  const std::vector<float> expected = Copied(plain.Logits(-1), model);
  for (const char* kv : {"f32", "bf16", "q8_0", "q5_1"}) {
    Context::Options options;
    options.settings.kv_k = options.settings.kv_v = kv;
    Context context = Opened(model, options);
    ASSERT_TRUE(context.Append(tokens).ok()) << kv;
    const std::vector<float> logits = Copied(context.Logits(-1), model);
    for (size_t t = 0; t < logits.size(); ++t) ASSERT_NEAR(logits[t], expected[t], 0.5) << kv;
  }
  for (const FlashAttention flash : {FlashAttention::kOn, FlashAttention::kOff}) {
    Context::Options options;
    options.settings.flash_attention = flash;
    Context context = Opened(model, options);
    ASSERT_TRUE(context.Append(tokens).ok());
    const std::vector<float> logits = Copied(context.Logits(-1), model);
    for (size_t t = 0; t < logits.size(); ++t) ASSERT_NEAR(logits[t], expected[t], 5e-2);
  }
}

TEST(ContextTest, ThreadsDefaultToThePhysicalCores) { EXPECT_GE(DefaultThreads(), 1); }

}  // namespace
}  // namespace trimma::model_test
