#include "gguf/soundness.h"

#include <gtest/gtest.h>

#include "gguf/raw_gguf.h"
#include "support/tiny_model.h"

namespace trimma::soundness_test {
namespace {

std::string FaultOf(const TinyModel& model) {
  const Result<GgufFile> file = Parse(Assemble(model));
  if (!file.ok()) return "unreadable: " + file.error().what;
  const Status sound = CheckModel(*file);
  return sound.ok() ? "sound" : sound.error().what;
}

std::string FaultWith(const char* key, Value value) {
  TinyModel model = MakeTinyModel();
  model.metadata.Set(key, std::move(value));
  return FaultOf(model);
}

std::string FaultWithout(const char* key) {
  TinyModel model = MakeTinyModel();
  model.metadata.Erase(key);
  return FaultOf(model);
}

TEST(SoundnessTest, AcceptsModels) {
  EXPECT_EQ(FaultOf(MakeTinyModel()), "sound");
  TinyModelOptions gemma;
  gemma.architecture = "gemma3";
  gemma.head_size = 32;
  gemma.tied = false;
  EXPECT_EQ(FaultOf(MakeTinyModel(gemma)), "sound");
}

TEST(SoundnessTest, TellsOtherKindsOfFilesApart) {
  EXPECT_EQ(FaultWith("general.architecture", std::string("clip")),
            "m.gguf is a vision projector, not a model");
  EXPECT_EQ(FaultWith("general.type", std::string("mmproj")),
            "m.gguf is a vision projector, not a model");
  EXPECT_EQ(FaultWith("general.type", std::string("imatrix")),
            "m.gguf is an importance matrix, not a model");
  EXPECT_EQ(FaultWith("general.type", std::string("adapter")),
            "m.gguf is an adapter (LoRA), not a model");
  EXPECT_EQ(FaultWithout("general.architecture"),
            "m.gguf: general.architecture is absent or no text");
  TinyModel vocabulary = MakeTinyModel();
  vocabulary.tensors.clear();
  vocabulary.data.clear();
  EXPECT_EQ(FaultOf(vocabulary), "m.gguf is a file without tensors, not a model");
}

TEST(SoundnessTest, ChecksTheShape) {
  EXPECT_EQ(FaultWith("llama.block_count", uint32_t{0}),
            "m.gguf: llama.block_count is 0, not from 1 to 4096");
  EXPECT_EQ(FaultWith("llama.block_count", uint32_t{4097}),
            "m.gguf: llama.block_count is 4097, not from 1 to 4096");
  EXPECT_EQ(FaultWith("llama.block_count", 2.0F),
            "m.gguf: llama.block_count is absent or no integer");
  EXPECT_EQ(FaultWithout("llama.embedding_length"),
            "m.gguf: llama.embedding_length is absent or no integer");
  EXPECT_EQ(FaultWithout("llama.attention.head_count"),
            "m.gguf: llama.attention.head_count is absent");
  EXPECT_EQ(FaultWith("llama.attention.head_count", uint32_t{0}),
            "m.gguf: llama.attention.head_count is 0");
  EXPECT_EQ(FaultWith("llama.attention.head_count", int32_t{-4}),
            "m.gguf: llama.attention.head_count is -4");
  EXPECT_EQ(FaultWith("llama.attention.head_count_kv", uint32_t{0}),
            "m.gguf: llama.attention.head_count_kv is 0");
  EXPECT_EQ(
      FaultWith("llama.attention.head_count_kv", uint32_t{3}),
      "m.gguf: llama.attention.head_count_kv is 3 in layer 0, which does not divide its 4 heads");
}

TEST(SoundnessTest, TakesHeadCountsByLayer) {
  const auto kv = [](std::vector<int32_t> counts) {
    return FaultWith("llama.attention.head_count_kv", Array{std::move(counts)});
  };
  EXPECT_EQ(kv({2, 4}), "sound");
  EXPECT_EQ(kv({0, 2}), "sound");  // a layer without attention, as hybrids have
  EXPECT_EQ(
      kv({2}),
      "m.gguf: llama.attention.head_count_kv is neither an integer nor one for each of 2 layers");
  EXPECT_EQ(
      kv({2, 3}),
      "m.gguf: llama.attention.head_count_kv is 3 in layer 1, which does not divide its 4 heads");
  EXPECT_EQ(FaultWith("llama.attention.head_count", Array{std::vector<int32_t>{0, 0}}),
            "m.gguf: llama.attention.head_count is 0 in every layer");
}

TEST(SoundnessTest, RecurrentModelsNeedNoHeads) {
  TinyModel model = MakeTinyModel();
  model.metadata.Set("llama.ssm.conv_kernel", uint32_t{4});
  model.metadata.Set("llama.attention.head_count", uint32_t{0});
  model.metadata.Set("llama.attention.head_count_kv", uint32_t{0});
  EXPECT_EQ(FaultOf(model), "sound");
  model.metadata.Erase("llama.attention.head_count");
  EXPECT_EQ(FaultOf(model), "sound");
}

TEST(SoundnessTest, ChecksTheTokenizer) {
  EXPECT_EQ(FaultWith("tokenizer.ggml.scores", Array{std::vector<float>(299)}),
            "m.gguf: tokenizer.ggml.scores has 299 elements, but there are 300 tokens");
  EXPECT_EQ(FaultWith("tokenizer.ggml.token_type", Array{std::vector<int32_t>(301)}),
            "m.gguf: tokenizer.ggml.token_type has 301 elements, but there are 300 tokens");
  EXPECT_EQ(FaultWith("tokenizer.ggml.tokens", std::string("a b c")),
            "m.gguf: tokenizer.ggml.tokens has a wrong type");
  TinyModel ghost = MakeTinyModel();
  for (const char* key : {"tokens", "scores", "token_type"}) {
    ghost.metadata.Erase(std::string("tokenizer.ggml.") + key);
  }
  EXPECT_EQ(FaultOf(ghost), "sound");
}

TEST(SoundnessTest, AShardAloneIsNoModel) {
  TinyModel shard = MakeTinyModel();
  shard.metadata.Set("split.no", uint16_t{0});
  shard.metadata.Set("split.count", uint16_t{2});
  shard.metadata.Set("split.tensors.count", int32_t{100});
  EXPECT_EQ(FaultOf(shard), "m.gguf: this is one of 2 shards");
}

}  // namespace
}  // namespace trimma::soundness_test
