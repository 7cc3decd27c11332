#include "engine/runtime.h"

#include <gtest/gtest.h>

namespace trimma::runtime_test {
namespace {

RuntimeSettings Unusual() {
  RuntimeSettings settings;
  settings.context = 131072;
  settings.batch = 64;
  settings.ubatch = 32;
  settings.threads = 3;
  settings.threads_batch = 7;
  settings.flash_attention = FlashAttention::kOff;
  settings.kv_k = "iq4_nl";
  settings.kv_v = "bf16";
  settings.gpu_layers = 0;
  settings.use_gpu = false;
  settings.parallel = 4;
  settings.host_tensors = {R"(blk\.[0-3]\.ffn_.*_exps)"};
  settings.load_mode = LoadMode::kMappedLocked;
  settings.repack = false;
  return settings;
}

// The error for the defaults with `key` set to `value`; empty if there is none.
std::string Refusal(const char* key, const Json& value) {
  Json json = ToJson(RuntimeSettings());
  json[key] = value;
  const Result<RuntimeSettings> settings = RuntimeSettingsFromJson(json);
  if (settings) return "";
  EXPECT_EQ(settings.error().code, Code::kInvalid);
  return settings.error().what;
}

TEST(RuntimeTest, JsonRoundTrip) {
  for (const RuntimeSettings& settings : {RuntimeSettings(), Unusual()}) {
    const Result<RuntimeSettings> back =
        RuntimeSettingsFromJson(Json::parse(ToJson(settings).dump()));
    ASSERT_TRUE(back.ok()) << back.error().what;
    EXPECT_EQ(*back, settings);
  }
}

TEST(RuntimeTest, WhatDiffersIsNamed) {
  RuntimeSettings settings;
  EXPECT_EQ(Difference(settings, settings), "");
  settings.ubatch = 64;
  settings.kv_k = "q8_0";
  settings.load_mode = LoadMode::kRead;
  EXPECT_EQ(Difference({}, settings), "ubatch 64, KV cache q8_0/f16, load mode none");
  settings.gpu_layers = 3;
  EXPECT_EQ(Difference({}, settings), "ubatch 64, KV cache q8_0/f16, GPU layers 3, load mode none");
  RuntimeSettings without;
  without.context = 512;
  without.use_gpu = false;
  EXPECT_EQ(Difference({}, without), "context 512, GPUs left out");
  EXPECT_EQ(Difference(without, {}), "context 4096, GPU layers default");
  // No field may differ unsaid.
  const Json odd = ToJson(Unusual());
  for (const auto& field : odd.items()) {
    Json one = ToJson(RuntimeSettings());
    if (one[field.key()] == field.value()) continue;
    one[field.key()] = field.value();
    EXPECT_NE(Difference({}, RuntimeSettingsFromJson(one).value()), "") << field.key();
  }
}

TEST(RuntimeTest, JsonFieldsAreStable) {
  EXPECT_EQ(ToJson(Unusual()).dump(),
            "{\"batch\":64,\"context\":131072,\"flash_attention\":\"off\",\"gpu_layers\":0,"
            R"("host_tensors":["blk\\.[0-3]\\.ffn_.*_exps"],)"
            "\"kv_k\":\"iq4_nl\",\"kv_v\":\"bf16\",\"load_mode\":\"mmap+mlock\",\"parallel\":4,"
            "\"repack\":false,\"threads\":3,\"threads_batch\":7,\"ubatch\":32,\"use_gpu\":false}");
  EXPECT_TRUE(ToJson(RuntimeSettings())["threads"].is_null());
}

TEST(RuntimeTest, NamesOfFlashAttention) {
  EXPECT_STREQ(NameOf(FlashAttention::kAuto), "auto");
  EXPECT_STREQ(NameOf(FlashAttention::kOn), "on");
  EXPECT_STREQ(NameOf(FlashAttention::kOff), "off");
}

TEST(RuntimeTest, AnOptionalMayBeMissing) {
  Json json = ToJson(Unusual());
  json.erase("threads");
  const Result<RuntimeSettings> settings = RuntimeSettingsFromJson(json);
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->threads, std::nullopt);
}

TEST(RuntimeTest, RecordsOfBeforeUsedTheGpu) {
  Json json = ToJson(RuntimeSettings());
  json.erase("use_gpu");
  const Result<RuntimeSettings> settings = RuntimeSettingsFromJson(json);
  ASSERT_TRUE(settings.ok());
  EXPECT_TRUE(settings->use_gpu);
  EXPECT_NE(Refusal("use_gpu", 0).find("use_gpu must be true or false"), std::string::npos);
}

TEST(RuntimeTest, EveryOtherKeyMustBeThere) {
  for (const char* key : {"context", "batch", "ubatch", "flash_attention", "kv_k", "kv_v"}) {
    Json json = ToJson(RuntimeSettings());
    json.erase(key);
    const Result<RuntimeSettings> settings = RuntimeSettingsFromJson(json);
    ASSERT_FALSE(settings.ok()) << key;
    EXPECT_NE(settings.error().what.find(key), std::string::npos);
  }
}

TEST(RuntimeTest, KnowsEveryKvTypeOfTheEngine) {
  for (const char* type :
       {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"}) {
    EXPECT_EQ(Refusal("kv_k", type), "");
    EXPECT_EQ(Refusal("kv_v", type), "");
  }
  EXPECT_EQ(Refusal("kv_k", "q4_k"),
            "settings.kv_k must be one of f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1, "
            "not \"q4_k\"");
}

TEST(RuntimeTest, RefusesWrongTypesAndRanges) {
  EXPECT_EQ(Refusal("context", 0),
            "settings.context must be a whole number from 1 to 1073741824, not 0");
  for (const char* key : {"context", "batch", "ubatch", "threads", "threads_batch"}) {
    for (const Json& value : {Json(0), Json(-1), Json(4096.0), Json("4"), Json(true),
                              Json(UINT64_MAX), Json(INT64_MIN), Json::array(), Json::object()}) {
      EXPECT_NE(Refusal(key, value), "") << key << value;
    }
  }
  EXPECT_NE(Refusal("context", nullptr), "");
  EXPECT_EQ(Refusal("gpu_layers", 0), "");
  EXPECT_NE(Refusal("gpu_layers", -1), "");
  EXPECT_NE(Refusal("gpu_layers", 65537), "");
  EXPECT_NE(Refusal("flash_attention", "yes"), "");
  EXPECT_NE(Refusal("flash_attention", true), "");
  EXPECT_NE(Refusal("kv_v", 8), "");
  EXPECT_NE(Refusal("unheard_of", 1), "");
  EXPECT_EQ(Refusal("kv_k", "\x1b[31m\xFF").find('\x1b'), std::string::npos);
  EXPECT_FALSE(RuntimeSettingsFromJson(Json::array()).ok());
  EXPECT_FALSE(RuntimeSettingsFromJson(Json()).ok());
}

}  // namespace
}  // namespace trimma::runtime_test
