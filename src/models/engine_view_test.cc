#include "models/engine_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "gguf/soundness.h"
#include "support/stored_model.h"

namespace trimma::engine_view_test {
namespace {

EngineView Shown(const GgufFile& file) {
  auto view = EngineViewOf(file);
  CHECK(view.ok() && view->has_value());
  return **std::move(view);
}

std::map<std::string, TensorPlan> Names(const GgufView& view) {
  std::map<std::string, TensorPlan> names;
  for (const ViewTensor& tensor : view.tensors) names[tensor.plan.name] = tensor.plan;
  return names;
}

bool Says(const std::vector<std::string>& changes, const std::string& words) {
  return std::any_of(changes.begin(), changes.end(), [&](const std::string& change) {
    return change.find(words) != std::string::npos;
  });
}

TEST(EngineView, Gemma3IsShownAsAModelAndAProjector) {
  const GgufFile stored = HeaderOf(StoredGemma3());
  ASSERT_TRUE(CheckModel(stored).ok());
  const EngineView view = Shown(stored);
  const Metadata& m = view.text.metadata;
  EXPECT_FLOAT_EQ(*m.Number("gemma3.attention.layer_norm_rms_epsilon"), 1e-6F);
  EXPECT_FLOAT_EQ(*m.Number("gemma3.rope.freq_base"), 1e6F);
  EXPECT_FLOAT_EQ(*m.Number("gemma3.rope.freq_base_swa"), 1e4F);
  EXPECT_FALSE(m.Has("gemma3.rope.local.freq_base"));
  EXPECT_FALSE(m.Has("gemma3.rope.scaling.factor")) << "it is no 4B";
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    EXPECT_EQ(m.FindArray(key)->size(), 300U) << key;
  }
  EXPECT_FALSE(m.Has("gemma3.vision.block_count") || m.Has("gemma3.mm.tokens_per_image"));
  for (const auto& [name, plan] : Names(view.text))
    EXPECT_FALSE(name.starts_with("v.") || name.starts_with("mm.")) << name;
  for (const char* words : {"vision encoder left out", "layer_norm_rms_epsilon = 1e-06 supplied",
                            "301 tokens cut to the embedding's 300 rows",
                            "rope.local.freq_base as gemma3.rope.freq_base_swa"}) {
    EXPECT_TRUE(Says(view.text.changes, words)) << words;
  }
  ASSERT_TRUE(view.projector.has_value()) << view.no_projector;
  const auto names = Names(*view.projector);
  for (const char* name :
       {"v.patch_embd.weight", "v.patch_embd.bias", "v.position_embd.weight", "v.post_ln.weight",
        "v.blk.1.ln1.weight", "v.blk.0.attn_out.weight", "v.blk.0.ffn_up.weight",
        "v.blk.1.ffn_down.bias", "mm.input_projection.weight", "mm.soft_emb_norm.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(names.at("v.patch_embd.weight").type, tensor_type::kF32);
  EXPECT_EQ(names.at("v.blk.0.attn_q.weight").type, tensor_type::kF16);
  EXPECT_EQ(view.projector->metadata.Integer("clip.vision.projection_dim"), 256);
  EXPECT_EQ(view.projector->metadata.Integer("clip.vision.projector.scale_factor"), std::nullopt)
      << "16 patches a side, of which 4 become one token, as the engine knows it";
}

TEST(EngineView, TheModelsThatWerePublishedWithoutTheirScaleGetIt) {
  TinyModel model = StoredGemma3();
  for (const uint32_t blocks : {26U, 34U, 48U, 62U}) {
    model.metadata.Set("gemma3.block_count", blocks);
    model.metadata.Set("gemma3.final_logit_softcapping", 30.0F);
    const EngineView view = Shown(HeaderOf(model));
    const auto factor = view.text.metadata.Number("gemma3.rope.scaling.factor");
    const auto cap = view.text.metadata.Number("gemma3.final_logit_softcapping");
    EXPECT_EQ(factor, blocks == 26 ? std::nullopt : std::optional(8.0)) << blocks;
    EXPECT_EQ(cap, blocks == 26 ? 0.0 : 30.0) << blocks;
  }
}

TEST(EngineView, WhatTheEngineReadsIsLeftAlone) {
  for (const char* architecture : {"llama", "gemma3"}) {
    TinyModelOptions options;
    options.architecture = architecture;
    const auto view = EngineViewOf(HeaderOf(MakeTinyModel(options)));
    ASSERT_TRUE(view.ok());
    EXPECT_FALSE(view->has_value()) << architecture;
  }
  // A text view is no stored file either.
  for (const char* architecture :
       {"gemma3", "gemma3n", "gptoss", "mistral3", "qwen25vl", "qwen3vl", "llama4"}) {
    const TinyModel stored =
        architecture == std::string("gemma3") ? StoredGemma3() : StoredShape(architecture);
    const EngineView view = Shown(HeaderOf(stored));
    const auto text = HeaderOf(view.text);
    ASSERT_TRUE(text.ok());
    EXPECT_TRUE(CheckModel(*text).ok()) << architecture;
    const auto again = EngineViewOf(*text);
    ASSERT_TRUE(again.ok()) << again.error().what;
    EXPECT_FALSE(again->has_value()) << architecture << ": " << (*again)->text.changes[0];
  }
}

TEST(EngineView, AnEncoderThatNoRowKnowsIsRefusedInOneSentence) {
  TinyModel model = MakeTinyModel();
  model.tensors.push_back({"v.blk.0.ln1.weight", tensor_type::kF32, {64}});
  model.metadata.Set("general.architecture", std::string("novel"));
  const auto view = EngineViewOf(HeaderOf(model, "m.gguf"));
  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.error().code, Code::kInvalid);
  EXPECT_NE(view.error().what.find("m.gguf is stored as Ollama's converter writes \"novel\""),
            std::string::npos)
      << view.error().what;
  EXPECT_FALSE(view.error().hint.empty());
  model = MakeTinyModel();
  model.metadata.Set("general.architecture", std::string("glmocr"));
  EXPECT_FALSE(EngineViewOf(HeaderOf(model)).ok());
  TinyModel embedding = StoredGemma3();
  embedding.tensors.push_back({"dense.0.weight", tensor_type::kF32, {256, 64}});
  EXPECT_FALSE(EngineViewOf(HeaderOf(embedding)).ok());
}

TEST(EngineView, GptOssGetsTheEnginesNames) {
  const EngineView view = Shown(HeaderOf(StoredShape("gptoss")));
  EXPECT_EQ(view.text.metadata.String("general.architecture"), "gpt-oss");
  EXPECT_EQ(view.text.metadata.Integer("gpt-oss.expert_feed_forward_length"), 128);
  EXPECT_EQ(view.text.metadata.String("gpt-oss.rope.scaling.type"), "yarn");
  EXPECT_EQ(view.text.metadata.String("tokenizer.ggml.pre"), "gpt-4o");
  const auto names = Names(view.text);
  for (const char* name : {"blk.1.attn_output.weight", "blk.1.attn_output.bias",
                           "blk.0.attn_sinks.weight", "blk.0.post_attention_norm.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_FALSE(view.projector.has_value());
}

TEST(EngineView, Gemma3nIsCutToTheSmallerOfItsVocabularies) {
  const GgufFile stored = HeaderOf(StoredShape("gemma3n"));
  const EngineView view = Shown(stored);
  EXPECT_EQ(Names(view.text).at("token_embd.weight").shape[1], 300U);
  EXPECT_EQ(view.text.metadata.FindArray("tokenizer.ggml.tokens")->size(), 300U);
  EXPECT_EQ(view.text.metadata.String("tokenizer.ggml.model"), "llama");
  const auto text = HeaderOf(view.text);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->FindTensor("token_embd.weight")->bytes, 300U * 256 * 2);
}

TEST(EngineView, RopesAreCalledAsTheEngineCallsThem) {
  const EngineView mistral = Shown(HeaderOf(StoredShape("mistral3")));
  EXPECT_EQ(mistral.text.metadata.Number("mistral3.rope.scaling.yarn_beta_fast"), 32);
  EXPECT_EQ(mistral.text.metadata.Number("mistral3.rope.scaling.yarn_log_multiplier"), 1);
  EXPECT_TRUE(mistral.text.metadata.Has("mistral3.attention.temperature_scale"));
  EXPECT_EQ(mistral.text.metadata.String("tokenizer.ggml.pre"), "tekken");
  TinyModel without = StoredShape("mistral3");
  without.metadata.Set("mistral3.rope.scaling.type", std::string());
  EXPECT_FALSE(Shown(HeaderOf(without)).text.metadata.Has("mistral3.rope.scaling.type"));

  const EngineView qwen = Shown(HeaderOf(StoredShape("qwen25vl")));
  EXPECT_EQ(qwen.text.metadata.PerLayer("qwen2vl.rope.dimension_sections", 4),
            (std::vector<int64_t>{8, 12, 12, 0}));
  EXPECT_EQ(qwen.projector->metadata.Integer("clip.vision.n_wa_pattern"), 2);
  const EngineView newer = Shown(HeaderOf(StoredShape("qwen3vl")));
  EXPECT_EQ(newer.text.metadata.PerLayer("qwen3vl.rope.dimension_sections", 4),
            (std::vector<int64_t>{24, 20, 20, 0}));
  EXPECT_EQ(newer.text.metadata.Integer("qwen3vl.n_deepstack_layers"), 1);
}

TEST(EngineView, MistralsEncoderHasItsRowsInPairs) {
  const GgufFile stored = HeaderOf(StoredShape("mistral3"));
  const EngineView view = Shown(stored);
  const TensorInfo* q = stored.FindTensor("v.blk.0.attn_q.weight");
  for (const ViewTensor& tensor : view.projector->tensors) {
    if (tensor.plan.name != "v.blk.0.attn_q.weight") continue;
    ASSERT_EQ(tensor.pieces.size(), 64U);  // two heads of 32 rows
    const uint64_t row = q->bytes / 64;
    const auto from = [&](size_t i) { return (tensor.pieces[i].offset - q->offset) / row; };
    EXPECT_EQ(from(0), 0U);
    EXPECT_EQ(from(1), 16U);
    EXPECT_EQ(from(2), 1U);
    EXPECT_EQ(from(31), 31U);
    EXPECT_EQ(from(33), 48U);
  }
  EXPECT_TRUE(Says(view.projector->changes, "between a picture's rows is zeros"));
}

// Counts of a header that the file doesn't bear out: said at once, and the model is read without.
TEST(EngineView, AnEncoderOfImpossibleCountsIsNotShown) {
  for (const char* architecture : {"mistral3", "qwen3vl"}) {
    for (const int64_t blocks : {int64_t{-1}, INT64_MIN, int64_t{1} << 40, int64_t{2000}}) {
      TinyModel model = StoredShape(architecture);
      model.metadata.Set(std::string(architecture) + ".vision.block_count", blocks);
      const EngineView view = Shown(HeaderOf(model));
      EXPECT_FALSE(view.projector.has_value()) << architecture << " " << blocks;
      EXPECT_NE(view.no_projector.find("blocks"), std::string::npos) << view.no_projector;
    }
  }
  TinyModel deep = StoredShape("qwen3vl");
  deep.metadata.Set("qwen3vl.vision.deepstack_visual_indexes",
                    Array{std::vector<int32_t>(100'000, 1)});
  EXPECT_NE(Shown(HeaderOf(deep)).no_projector.find("100000"), std::string::npos);
  for (const char* name : {"v.blk.0.attn_q.weight", "v.patch_embed.weight"}) {
    const bool mistral = std::string(name) == "v.blk.0.attn_q.weight";
    GgufFile file = HeaderOf(StoredShape(mistral ? "mistral3" : "qwen3vl"));
    for (TensorInfo& tensor : file.tensors) {
      if (tensor.name == name) tensor.shape.back() = uint64_t{1} << 32;
    }
    EXPECT_FALSE(Shown(file).projector.has_value()) << name;
  }
}

TEST(EngineView, Qwens3EncoderIsJoinedAndSplit) {
  const EngineView view = Shown(HeaderOf(StoredShape("qwen3vl")));
  ASSERT_TRUE(view.projector.has_value()) << view.no_projector;
  const auto names = Names(*view.projector);
  EXPECT_EQ(names.at("v.blk.1.attn_qkv.weight").shape, (std::vector<uint64_t>{64, 192}));
  EXPECT_EQ(names.at("v.blk.1.attn_qkv.bias").shape, (std::vector<uint64_t>{192}));
  EXPECT_FALSE(names.contains("v.blk.1.attn_k.weight"));
  EXPECT_EQ(names.at("v.patch_embd.weight.1").shape, (std::vector<uint64_t>{14, 14, 3, 64}));
  EXPECT_TRUE(names.contains("v.deepstack.1.fc2.bias"));
}

}  // namespace
}  // namespace trimma::engine_view_test
