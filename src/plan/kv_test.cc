#include "plan/kv.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trimma::kv_test {
namespace {

GgufFile Shape(const std::string& arch, uint32_t layers, uint32_t embedding, uint32_t heads) {
  GgufFile file;
  file.metadata.Set("general.architecture", arch);
  file.metadata.Set(arch + ".block_count", layers);
  file.metadata.Set(arch + ".embedding_length", embedding);
  file.metadata.Set(arch + ".attention.head_count", heads);
  return file;
}

// gemma-3-4b-it, as its GGUF has it.
GgufFile Gemma3_4b() {
  GgufFile file = Shape("gemma3", 34, 2560, 8);
  file.metadata.Set("gemma3.attention.head_count_kv", uint32_t{4});
  file.metadata.Set("gemma3.attention.key_length", uint32_t{256});
  file.metadata.Set("gemma3.attention.value_length", uint32_t{256});
  file.metadata.Set("gemma3.attention.sliding_window", uint32_t{1024});
  return file;
}

TEST(KvTest, AHeadIsItsShareOfTheEmbedding) {
  GgufFile file = Shape("llama", 32, 4096, 32);
  file.metadata.Set("llama.attention.head_count_kv", uint32_t{8});
  const auto kv = KvBytesPerToken(file);
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->bytes_per_token, 32U * 8 * (128 + 128) * 2);  // 128 KiB, as known of Llama 3 8B
  EXPECT_EQ(kv->windowed_bytes_per_token, 0U);
  EXPECT_EQ(kv->window, 0U);
}

TEST(KvTest, WithoutACountOfItsOwnEveryHeadHasKeysAndValues) {
  EXPECT_EQ(KvBytesPerToken(Shape("llama", 32, 4096, 32))->bytes_per_token, 524288U);
}

TEST(KvTest, FiveOfSixLayersOfGemma3SeeAWindow) {
  const auto kv = KvBytesPerToken(Gemma3_4b());
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->bytes_per_token, 34U * 4 * 512 * 2);
  EXPECT_EQ(kv->windowed_bytes_per_token, 29U * 4 * 512 * 2);
  EXPECT_EQ(kv->window, 1024U);
}

// 254 and 814 MiB are what the engine's allocator takes: the windowed layers keep the window and
// one physical batch of 512.
TEST(KvTest, TheFormulaMeetsTheEngineForGemma3) {
  const auto kv = KvBytesPerToken(Gemma3_4b());
  const auto mebibytes = [&](uint64_t context) {
    const uint64_t full = kv->bytes_per_token - kv->windowed_bytes_per_token;
    const uint64_t kept = std::min<uint64_t>(context, kv->window + 512);
    return static_cast<double>(full * context + kv->windowed_bytes_per_token * kept) / (1 << 20);
  };
  EXPECT_NEAR(mebibytes(4096), 254, 1);
  EXPECT_NEAR(mebibytes(32768), 814, 1);
}

TEST(KvTest, LayersMayDiffer) {
  GgufFile file = Shape("llama", 3, 64, 4);
  file.metadata.Set("llama.attention.head_count_kv", Array{std::vector<int32_t>{4, 0, 1}});
  EXPECT_EQ(KvBytesPerToken(file)->bytes_per_token, (4U + 0 + 1) * 32 * 2);
}

TEST(KvTest, TheFileMaySayItselfWhichLayersSeeAWindow) {
  GgufFile file = Gemma3_4b();
  std::vector<uint8_t> windowed(34, 0);
  windowed[0] = windowed[7] = 1;
  file.metadata.Set("gemma3.attention.sliding_window_pattern", Array{windowed, true});
  EXPECT_EQ(KvBytesPerToken(file)->windowed_bytes_per_token, 2U * 4 * 512 * 2);
  file.metadata.Set("gemma3.attention.sliding_window_pattern", uint32_t{2});
  EXPECT_EQ(KvBytesPerToken(file)->windowed_bytes_per_token, 17U * 4 * 512 * 2);
}

TEST(KvTest, AWindowThatNoLayerUsesIsNone) {
  GgufFile file = Shape("llama", 4, 64, 4);
  file.metadata.Set("llama.attention.sliding_window", uint32_t{4096});
  const auto kv = KvBytesPerToken(file);
  EXPECT_EQ(kv->windowed_bytes_per_token, 0U);
  EXPECT_EQ(kv->window, 0U);
}

TEST(KvTest, WhatHasNoSuchCacheHasNoNumber) {
  EXPECT_FALSE(KvBytesPerToken(GgufFile()).has_value());
  GgufFile state = Shape("mamba", 24, 768, 1);
  state.metadata.Erase("mamba.attention.head_count");
  EXPECT_FALSE(KvBytesPerToken(state).has_value());
  GgufFile latent = Shape("deepseek2", 27, 2048, 16);
  latent.metadata.Set("deepseek2.attention.kv_lora_rank", uint32_t{512});
  EXPECT_FALSE(KvBytesPerToken(latent).has_value());
  EXPECT_FALSE(KvBytesPerToken(Shape("llama", 0, 64, 4)).has_value());
  GgufFile short_array = Shape("llama", 3, 64, 4);
  short_array.metadata.Set("llama.attention.head_count", Array{std::vector<int32_t>{4, 4}});
  EXPECT_FALSE(KvBytesPerToken(short_array).has_value());
}

TEST(KvTest, QuantisedCachesNeedHeadsThatTheirBlocksDivide) {
  GgufFile wide = Shape("llama", 2, 128, 4);   // heads of 32
  GgufFile narrow = Shape("llama", 2, 64, 4);  // heads of 16
  EXPECT_TRUE(KvTypeFitsHeads(wide, tensor_type::kQ8_0));
  EXPECT_FALSE(KvTypeFitsHeads(narrow, tensor_type::kQ8_0));
  EXPECT_TRUE(KvTypeFitsHeads(narrow, tensor_type::kF16));
  EXPECT_TRUE(KvTypeFitsHeads(Gemma3_4b(), tensor_type::kQ4_0));
  narrow.metadata.Set("llama.attention.key_length", uint32_t{64});
  EXPECT_FALSE(KvTypeFitsHeads(narrow, tensor_type::kQ8_0)) << "values still have 16";
  narrow.metadata.Set("llama.attention.value_length", uint32_t{64});
  EXPECT_TRUE(KvTypeFitsHeads(narrow, tensor_type::kQ8_0));
}

}  // namespace
}  // namespace trimma::kv_test
