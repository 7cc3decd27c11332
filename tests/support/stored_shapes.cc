#include "support/stored_model.h"
#include "support/stored_pieces.h"

namespace trimma {

using namespace stored;

namespace {

TinyModel Llama(const std::string& arch) {
  TinyModelOptions options;
  options.embedding = kText;
  options.heads = kHeads;
  options.kv_heads = 2;
  options.feed_forward = 512;
  options.tied = false;
  static const TinyModel made = MakeTinyModel(options);
  TinyModel model = {made.metadata, made.tensors, {}};
  Metadata renamed;
  for (const auto& [key, value] : model.metadata.entries())
    renamed.Set(key.starts_with("llama.") ? arch + key.substr(5) : key, value);
  renamed.Set("general.architecture", arch);
  Numbers(renamed, arch + ".",
          {{"attention.key_length", kHead}, {"attention.value_length", kHead}});
  model.metadata = std::move(renamed);
  return model;
}

void RemoveTensors(TinyModel& model, const std::string& part) {
  std::erase_if(model.tensors,
                [&](const TensorPlan& t) { return t.name.find(part) != t.name.npos; });
}

TinyModel GptOss() {
  TinyModel model = Llama("gptoss");
  Metadata& m = model.metadata;
  Numbers(m, "gptoss.",
          {{"expert_count", 4},
           {"expert_used_count", 2},
           {"attention.sliding_window", 16},
           {"rope.dimension_count", kHead},
           {"rope.scaling.original_context_length", 64}});
  m.Set("gptoss.rope.scaling.factor", 8.0F);
  m.Set("tokenizer.ggml.pre", std::string("default"));
  RemoveTensors(model, ".ffn_");
  for (TensorPlan& tensor : model.tensors) {
    const size_t at = tensor.name.find(".attn_output.");
    if (at != std::string::npos) tensor.name.replace(at, 13, ".attn_out.");
  }
  Shapes shapes(model);
  for (const std::string blk : {"blk.0.", "blk.1."}) {
    shapes.Vector(blk + "attn_sinks", kHeads);
    shapes.Vector(blk + "attn_out.bias", kText);
    shapes.Norm(blk + "ffn_norm", kText, false);
    shapes.Both(blk + "ffn_gate_inp", {kText, 4});
    for (const char* name : {"ffn_gate_exps", "ffn_up_exps"}) {
      shapes.Matrix(blk + name + ".weight", {kText, 128, 4});
      model.tensors.push_back({blk + name + ".bias", tensor_type::kF32, {128, 4}});
    }
    shapes.Matrix(blk + "ffn_down_exps.weight", {128, kText, 4});
    model.tensors.push_back({blk + "ffn_down_exps.bias", tensor_type::kF32, {kText, 4}});
  }
  return model;
}

TinyModel Mistral3() {
  TinyModel model = Llama("mistral3");
  Metadata& m = model.metadata;
  VisionKeys(m, "mistral3");
  Numbers(m, "mistral3.",
          {{"spatial_merge_size", 2},
           {"rope.dimension_count", kHead},
           {"rope.scaling.original_context_length", 64}});
  m.Set("mistral3.rope.scaling.type", std::string("yarn"));
  m.Set("mistral3.rope.scaling.factor", 4.0F);
  m.Set("mistral3.rope.scaling.beta_fast", 32.0F);
  m.Set("mistral3.rope.scaling.beta_slow", 1.0F);
  m.Set("mistral3.rope.scaling.mscale_all_dim", 1.0F);
  m.Set("mistral3.rope.scaling_beta", 0.1F);
  m.Set("mistral3.vision.rope.freq_base", 10000.0F);
  m.Set("tokenizer.ggml.pre", std::string("default"));
  Shapes shapes(model);
  shapes.Matrix("v.patch_conv.weight", {kPatch, kPatch, 3, kVision});
  shapes.Norm("v.encoder_norm", kVision, false);
  shapes.Norm("mm.norm", kVision, false);
  shapes.Matrix("mm.patch_merger.merging_layer.weight", {4 * kVision, kVision});
  shapes.Matrix("mm.linear_1.weight", {kVision, kText});
  shapes.Matrix("mm.linear_2.weight", {kText, kText});
  for (const std::string blk : {"v.blk.0.", "v.blk.1."}) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
      shapes.Matrix(blk + name + ".weight", {kVision, kVision});
    for (const char* name : {"attn_norm", "ffn_norm"}) shapes.Norm(blk + name, kVision, false);
    for (const char* name : {"ffn_gate", "ffn_up"})
      shapes.Matrix(blk + name + ".weight", {kVision, kVisionFeedForward});
    shapes.Matrix(blk + "ffn_down.weight", {kVisionFeedForward, kVision});
  }
  return model;
}

TinyModel Qwen25Vl() {
  TinyModel model = Llama("qwen25vl");
  Metadata& m = model.metadata;
  VisionKeys(m, "qwen25vl");
  m.Erase("qwen25vl.vision.feed_forward_length");
  m.Erase("qwen25vl.vision.image_size");
  Numbers(m, "qwen25vl.vision.",
          {{"spatial_merge_size", 2}, {"window_size", 112}, {"temporal_patch_size", 2}});
  m.Set("qwen25vl.vision.attention.layer_norm_epsilon", 1e-6F);
  m.Set("qwen25vl.vision.fullatt_block_indexes", Array{std::vector<int32_t>{1}});
  m.Set("qwen25vl.rope.mrope_section", Array{std::vector<int32_t>{8, 12, 12}});
  Shapes shapes(model);
  shapes.Matrix("v.patch_embd_0.weight", {kPatch, kPatch, 3, kVision});
  shapes.Matrix("v.patch_embd_1.weight", {kPatch, kPatch, 3, kVision});
  shapes.Norm("v.merger.ln_q", kVision, false);
  shapes.Both("v.merger.mlp.0", {4 * kVision, 4 * kVision});
  shapes.Both("v.merger.mlp.2", {4 * kVision, kText});
  for (const std::string blk : {"v.blk.0.", "v.blk.1."}) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_out"})
      shapes.Both(blk + name, {kVision, kVision});
    for (const char* name : {"ln1", "ln2"}) shapes.Norm(blk + name, kVision, false);
    for (const char* name : {"ffn_gate", "ffn_up"})
      shapes.Both(blk + name, {kVision, kVisionFeedForward});
    shapes.Both(blk + "ffn_down", {kVisionFeedForward, kVision});
  }
  return model;
}

TinyModel Qwen3Vl() {
  TinyModel model = Llama("qwen3vl");
  Metadata& m = model.metadata;
  VisionKeys(m, "qwen3vl");
  m.Erase("qwen3vl.vision.feed_forward_length");
  m.Erase("qwen3vl.vision.image_size");
  Numbers(m, "qwen3vl.vision.",
          {{"spatial_merge_size", 2},
           {"temporal_patch_size", 2},
           {"shortest_edge", 65536},
           {"longest_edge", 16777216}});
  m.Set("qwen3vl.vision.attention.layer_norm_epsilon", 1e-6F);
  m.Set("qwen3vl.vision.rope.freq_base", 10000.0F);
  m.Set("qwen3vl.vision.deepstack_visual_indexes", Array{std::vector<int32_t>{1}});
  m.Set("qwen3vl.vision.image_mean", Array{std::vector<float>{0.5F, 0.5F, 0.5F}});
  m.Set("qwen3vl.vision.image_std", Array{std::vector<float>{0.5F, 0.5F, 0.5F}});
  Shapes shapes(model);
  shapes.Matrix("v.patch_embed.weight", {kPatch, kPatch, 2, uint64_t{3} * kVision});
  shapes.Vector("v.patch_embed.bias", kVision);
  shapes.Matrix("v.pos_embed.weight", {kVision, kPatches});
  shapes.Norm("v.merger.norm", kVision);
  shapes.Both("v.merger.linear_fc1", {4 * kVision, 4 * kVision});
  shapes.Both("v.merger.linear_fc2", {4 * kVision, kText});
  shapes.Norm("v.deepstack_merger.0.norm", 4 * kVision);
  shapes.Both("v.deepstack_merger.0.linear_fc1", {4 * kVision, 4 * kVision});
  shapes.Both("v.deepstack_merger.0.linear_fc2", {4 * kVision, kText});
  for (const std::string blk : {"v.blk.0.", "v.blk.1."}) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_out"})
      shapes.Both(blk + name, {kVision, kVision});
    for (const char* name : {"norm1", "norm2"}) shapes.Norm(blk + name, kVision);
    shapes.Both(blk + "mlp.linear_fc1", {kVision, kVisionFeedForward});
    shapes.Both(blk + "mlp.linear_fc2", {kVisionFeedForward, kVision});
  }
  for (const std::string blk : {"blk.0.", "blk.1."}) {
    for (const char* name : {"attn_q_norm", "attn_k_norm"}) shapes.Norm(blk + name, kHead, false);
  }
  return model;
}

TinyModel Llama4() {
  TinyModel model = Llama("llama4");
  Metadata& m = model.metadata;
  VisionKeys(m, "llama4");
  m.Set("llama4.vision.layer_norm_epsilon", 1e-5F);
  m.Set("llama4.vision.pixel_shuffle_ratio", 0.5F);
  Numbers(m, "llama4.",
          {{"expert_count", 16},
           {"expert_used_count", 1},
           {"expert_feed_forward_length", 128},
           {"interleave_moe_layer_step", 1},
           {"rope.dimension_count", kHead}});
  RemoveTensors(model, ".ffn_gate.");
  RemoveTensors(model, ".ffn_up.");
  RemoveTensors(model, ".ffn_down.");
  Shapes shapes(model);
  for (const std::string blk : {"blk.0.", "blk.1."}) {
    shapes.Matrix(blk + "ffn_gate_inp.weight", {kText, 16});
    for (const char* name : {"ffn_gate", "ffn_up"}) {
      shapes.Matrix(blk + name + "_exps.weight", {kText, 128, 16});
      shapes.Matrix(blk + name + "_shexp.weight", {kText, 128});
    }
    shapes.Matrix(blk + "ffn_down_exps.weight", {128, kText, 16});
    shapes.Matrix(blk + "ffn_down_shexp.weight", {128, kText});
  }
  shapes.Matrix("v.patch_embedding.weight", {uint64_t{kPatch} * kPatch * 3, kVision});
  shapes.Vector("v.class_embedding", kVision);
  // Ollama's converters write this one in F32; as F16 it is not added on a processor.
  shapes.Floats("v.positional_embedding_vlm", {kVision, kPatches + 1});
  for (const char* name : {"v.layernorm_pre", "v.layernorm_post"}) shapes.Norm(name, kVision);
  shapes.Matrix("v.vision_adapter.mlp.fc1.weight", {4 * kVision, kVisionFeedForward});
  shapes.Matrix("v.vision_adapter.mlp.fc2.weight", {kVisionFeedForward, kVisionFeedForward});
  shapes.Matrix("mm.linear_1.weight", {kVisionFeedForward, kText});
  for (const std::string blk : {"v.blk.0.", "v.blk.1."}) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
      shapes.Both(blk + name, {kVision, kVision});
    for (const char* name : {"attn_norm", "ffn_norm"}) shapes.Norm(blk + name, kVision);
    shapes.Both(blk + "mlp.fc1", {kVision, kVisionFeedForward});
    shapes.Both(blk + "mlp.fc2", {kVisionFeedForward, kVision});
  }
  return model;
}

TinyModel Gemma3n() {
  TinyModelOptions options;
  options.architecture = "gemma3";
  options.embedding = kText;
  options.feed_forward = 512;
  static const TinyModel made = MakeTinyModel(options);
  TinyModel model = {made.metadata, made.tensors, {}};
  Metadata renamed;
  for (const auto& [key, value] : model.metadata.entries())
    renamed.Set(key.starts_with("gemma3.") ? "gemma3n" + key.substr(6) : key, value);
  renamed.Set("general.architecture", std::string("gemma3n"));
  renamed.Set("gemma3n.rope.freq_base_local", 10000.0F);
  renamed.Set("tokenizer.ggml.model", std::string("gpt2"));
  AddToken(renamed, "<image_soft_token>");
  model.metadata = std::move(renamed);
  const uint64_t rows = options.vocab;
  for (TensorPlan& tensor : model.tensors) {
    if (tensor.name == "token_embd.weight") tensor.shape[1] = rows + 1;
  }
  constexpr uint64_t kSide = 256;  // what the engine has for every gemma3n
  constexpr uint64_t kInputs = 4;
  constexpr uint64_t kRank = 64;
  Shapes shapes(model);
  for (const char* name : {"altup_proj", "altup_unembd_proj"})
    shapes.Matrix(std::string(name) + ".weight", {kText, kText, kInputs - 1});
  shapes.Matrix("per_layer_token_embd.weight", {kSide * options.layers, rows});
  shapes.Matrix("per_layer_model_proj.weight", {kText, kSide * options.layers});
  shapes.Norm("per_layer_proj_norm", kSide, false);
  for (const std::string blk : {"blk.0.", "blk.1."}) {
    shapes.Matrix(blk + "inp_gate.weight", {kText, kSide});
    shapes.Matrix(blk + "proj.weight", {kSide, kText});
    shapes.Norm(blk + "post_norm", kText, false);
    shapes.Matrix(blk + "altup_correct_coef.weight", {kInputs, kInputs});
    shapes.Norm(blk + "altup_correct_scale", kText, false);
    shapes.Matrix(blk + "altup_predict_coef.weight", {kInputs, kInputs * kInputs});
    shapes.Matrix(blk + "altup_router.weight", {kText, kInputs});
    shapes.Norm(blk + "altup_router_norm", kText, false);
    shapes.Matrix(blk + "laurel_l.weight", {kText, kRank});
    shapes.Matrix(blk + "laurel_r.weight", {kRank, kText});
    shapes.Norm(blk + "laurel_post_norm", kText, false);
  }
  return model;
}

}  // namespace

TinyModel StoredShape(const std::string& architecture) {
  TinyModel model = architecture == "gptoss"     ? GptOss()
                    : architecture == "mistral3" ? Mistral3()
                    : architecture == "qwen25vl" ? Qwen25Vl()
                    : architecture == "qwen3vl"  ? Qwen3Vl()
                    : architecture == "llama4"   ? Llama4()
                                                 : Gemma3n();
  Order(model);
  return model;
}

}  // namespace trimma
