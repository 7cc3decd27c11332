#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "models/view_rows.h"

namespace trimma::views {
namespace {

uint64_t EmbeddingRows(const ViewEdit& edit, const char* name = "token_embd.weight") {
  const ViewTensor* embedding = edit.Find(name);
  return embedding != nullptr && embedding->plan.shape.size() == 2 ? embedding->plan.shape[1] : 0;
}

// M-RoPE's sections: Ollama stores three, the engine wants four.
std::vector<int32_t> Sections(const ViewEdit& edit, const std::string& key,
                              std::array<int32_t, 3> otherwise) {
  std::vector<int32_t> sections(otherwise.begin(), otherwise.end());
  if (const auto stored = edit.view().metadata.PerLayer(key, 3);
      stored && edit.view().metadata.FindArray(key) != nullptr) {
    for (size_t i = 0; i < sections.size(); ++i) sections[i] = static_cast<int32_t>((*stored)[i]);
  }
  sections.push_back(0);
  return sections;
}

// Gemma's turns, as its model card writes them; the words of a system message go before the user's.
constexpr const char* kGemmaTemplate =
    "{{ bos_token }}{% set ns = namespace(before='') %}"
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{% set ns.before = m['content'] | trim + '\n\n' %}{% else %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
    "{{ ns.before + m['content'] | trim + '<end_of_turn>\n' }}{% set ns.before = '' %}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

// Where its turns are tokens: a template that writes other words would say nothing.
bool KnowsGemmaTurns(const ViewEdit& edit) {
  const Array* array = edit.view().metadata.FindArray("tokenizer.ggml.tokens");
  const Strings* tokens = array == nullptr ? nullptr : std::get_if<Strings>(&array->elements);
  if (tokens == nullptr) return false;
  for (const std::string_view token : *tokens) {
    if (token == "<start_of_turn>") return true;
  }
  return false;
}

void SupplyGemmaTemplate(ViewEdit& edit) {
  if (KnowsGemmaTurns(edit)) edit.Default("tokenizer.chat_template", std::string(kGemmaTemplate));
}

}  // namespace

std::string KeyOf(const ViewEdit& edit, const std::string& suffix) {
  return edit.view().metadata.String("general.architecture").value_or("") + "." + suffix;
}

// convert_gemma3.go writes rope.local.freq_base, and of models with vision neither the norm's
// epsilon nor the scaling, which model_text.go knows by the number of blocks; the published ones
// count the picture's tokens among theirs. compat: handle_gemma3. Engine: gemma3.cpp wants the
// epsilon, and as many tokens as the embedding has rows.
void Gemma3Text(ViewEdit& edit) {
  const auto key = [&](const char* suffix) { return KeyOf(edit, suffix); };
  const auto blocks = edit.source().metadata.Integer(key("block_count")).value_or(0);
  const bool slides = edit.source().metadata.Integer(key("attention.sliding_window")).value_or(0) <
                      edit.source().metadata.Integer(key("context_length")).value_or(0);
  edit.MoveKey(key("rope.global.freq_base"), key("rope.freq_base"));
  edit.MoveKey(key("rope.local.freq_base"), key("rope.freq_base_swa"));
  if (!edit.view().metadata.Has(key("attention.layer_norm_rms_epsilon"))) {
    edit.Default(key("attention.layer_norm_rms_epsilon"), 1e-6F);
    edit.Default(key("rope.freq_base"), 1e6F);
    edit.Default(key("rope.freq_base_swa"), 1e4F);
  }
  constexpr std::array<int64_t, 3> kScaled = {34, 48, 62};  // 4B, 12B, 27B
  if (slides && std::find(kScaled.begin(), kScaled.end(), blocks) != kScaled.end() &&
      !edit.view().metadata.Has(key("rope.scaling.factor"))) {
    edit.Default(key("rope.scaling.type"), std::string("linear"));
    edit.Default(key("rope.scaling.factor"), 8.0F);
  }
  constexpr int64_t kBlocksOf1B = 26;
  if (slides && blocks == kBlocksOf1B && edit.view().metadata.Has(key("final_logit_softcapping")))
    edit.Set(key("final_logit_softcapping"), 0.0F);
  if (const uint64_t rows = EmbeddingRows(edit)) edit.CutTokens(rows);
  if (edit.changed()) SupplyGemmaTemplate(edit);
}

// convert_gemma3n.go drops the encoders but keeps their tokens: 262400 rows of one embedding stand
// beside 262144 of the other. compat: handle_gemma3n. Engine: gemma3n.cpp wants one vocabulary.
void Gemma3nText(ViewEdit& edit) {
  edit.MoveKey(KeyOf(edit, "rope.freq_base_local"), KeyOf(edit, "rope.freq_base_swa"));
  const uint64_t rows = EmbeddingRows(edit, "per_layer_token_embd.weight");
  if (rows > 0 && EmbeddingRows(edit) > rows) {
    edit.CutRows("token_embd.weight", rows);
    edit.CutTokens(rows);
    edit.Set("tokenizer.ggml.model", std::string("llama"));
    Metadata& metadata = edit.raw().metadata;
    const Array* tokens = metadata.FindArray("tokenizer.ggml.tokens");
    const Array* types = metadata.FindArray("tokenizer.ggml.token_type");
    const auto* texts = tokens == nullptr ? nullptr : std::get_if<Strings>(&tokens->elements);
    const auto* kinds =
        types == nullptr ? nullptr : std::get_if<std::vector<int32_t>>(&types->elements);
    if (texts != nullptr && kinds != nullptr && kinds->size() == texts->size()) {
      enum : int32_t { kNormal = 1, kByte = 6 };
      std::vector<int32_t> right = *kinds;
      for (size_t i = 0; i < right.size(); ++i) {
        const std::string_view token = (*texts)[i];
        if (token.size() == 6 && token.starts_with("<0x") && token.ends_with('>')) right[i] = kByte;
        if (token.starts_with("<unused")) right[i] = kNormal;
      }
      if (right != *kinds) {
        metadata.Set("tokenizer.ggml.token_type", Array{std::move(right)});
        edit.Note("bytes and unused tokens marked as such");
      }
    }
  }
  if (edit.changed()) SupplyGemmaTemplate(edit);
}

// convert_gptoss.go. compat: handle_gptoss. Engine: openai-moe.cpp wants the experts' width, and
// other names of three tensors; without its own pre-tokenizer the model's channels come out
// malformed.
void GptOssText(ViewEdit& edit) {
  edit.RenameArchitecture("gpt-oss");
  const ViewTensor* experts = edit.Find("blk.0.ffn_gate_exps.weight");
  if (experts != nullptr && experts->plan.shape.size() == 3) {
    edit.Default("gpt-oss.expert_feed_forward_length",
                 static_cast<uint32_t>(experts->plan.shape[1]));
  }
  edit.Default("gpt-oss.rope.scaling.type", std::string("yarn"));
  edit.Set("tokenizer.ggml.pre", std::string("gpt-4o"));
  edit.Rename(".attn_out.", ".attn_output.");
  edit.Rename(".attn_sinks", ".attn_sinks.weight");
  edit.Rename(".ffn_norm.", ".post_attention_norm.");
}

// convert_mistral.go, with the keys of its own rope; where the model has none they are empty, which
// the engine would refuse. compat: handle_mistral3. Engine: mistral3.cpp.
void Mistral3Text(ViewEdit& edit) {
  const auto key = [&](const char* suffix) { return KeyOf(edit, suffix); };
  if (edit.view().metadata.String(key("rope.scaling.type")) == "") {
    edit.raw().metadata.Erase(key("rope.scaling.type"));
    edit.Note("the empty " + key("rope.scaling.type") + " left out");
  }
  edit.MoveKey(key("rope.scaling.beta_fast"), key("rope.scaling.yarn_beta_fast"));
  edit.MoveKey(key("rope.scaling.beta_slow"), key("rope.scaling.yarn_beta_slow"));
  edit.MoveKey(key("rope.scaling.mscale_all_dim"), key("rope.scaling.yarn_log_multiplier"));
  edit.MoveKey(key("rope.scaling_beta"), key("attention.temperature_scale"));
  const auto pre = edit.view().metadata.String("tokenizer.ggml.pre").value_or("");
  if (edit.changed() && (pre.empty() || pre == "default"))
    edit.Set("tokenizer.ggml.pre", std::string("tekken"));
}

// convert_qwen25vl.go. compat: handle_qwen25vl. Engine: qwen2vl.cpp reads both generations, and
// wants four sections of its rope.
void Qwen25VlText(ViewEdit& edit) {
  edit.RenameArchitecture("qwen2vl");
  edit.Default("qwen2vl.rope.dimension_sections",
               Array{Sections(edit, "qwen2vl.rope.mrope_section", {16, 24, 24})});
}

// convert_qwen3vl.go; the sections are model_text.go's. compat: handle_qwen3vl. Engine:
// qwen3vl.cpp, qwen3vlmoe.cpp.
void Qwen3VlText(ViewEdit& edit) {
  const std::string sections = KeyOf(edit, "rope.dimension_sections");
  if (edit.view().metadata.Has(sections)) return;
  edit.Default(sections, Array{Sections(edit, KeyOf(edit, "rope.mrope_section"), {24, 20, 20})});
  const Array* deep =
      edit.view().metadata.FindArray(KeyOf(edit, "vision.deepstack_visual_indexes"));
  edit.Default(KeyOf(edit, "n_deepstack_layers"),
               static_cast<uint32_t>(deep == nullptr ? 0 : deep->size()));
}

// convert_llama4.go. compat: handle_llama4: the encoder is hidden, all else is as the engine has
// it.
void Llama4Text(ViewEdit&) {}

}  // namespace trimma::views
