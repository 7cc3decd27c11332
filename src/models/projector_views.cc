// The encoders that Ollama keeps in a model's own file, as the engine's projectors (mmproj).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "models/view_rows.h"

namespace trimma::views {
namespace {

using Renames = std::vector<std::pair<const char*, const char*>>;

// Fills in the keys of an mmproj from those of the model's file.
class Clip {
 public:
  Clip(ViewEdit& edit, const char* type) : edit_(edit), arch_(edit.source().architecture()) {
    Metadata& m = edit_.raw().metadata;
    m.Set("clip.has_vision_encoder", true);
    m.Set("clip.projector_type", std::string(type));
  }

  // Of the model's file: "vision.block_count". Without it, `otherwise`.
  Clip& Number(const char* to, const char* from, std::optional<uint32_t> otherwise = {}) {
    const auto value = source().Integer(arch_ + "." + from);
    if (value) {
      Put(to, static_cast<uint32_t>(*value));
    } else if (otherwise) {
      Put(to, *otherwise);
    }
    return *this;
  }
  Clip& Float(const char* to, const char* from, std::optional<float> otherwise = {}) {
    const auto value = source().Number(arch_ + "." + from);
    if (value) {
      Put(to, static_cast<float>(*value));
    } else if (otherwise) {
      Put(to, *otherwise);
    }
    return *this;
  }
  Clip& Put(const char* key, Value value) {
    edit_.raw().metadata.Set(std::string("clip.") + key, std::move(value));
    return *this;
  }
  Clip& Stored(const char* to, const char* from, std::vector<float> otherwise) {
    const Value* value = source().Find(arch_ + "." + from);
    return Put(to, value != nullptr ? *value : Value(Array{std::move(otherwise)}));
  }
  Clip& PixelsAround(std::vector<float> mean, std::vector<float> deviation) {
    Stored("vision.image_mean", "vision.image_mean", std::move(mean));
    return Stored("vision.image_std", "vision.image_std", std::move(deviation));
  }
  // Keys that all have, under the same names.
  Clip& Usual() {
    for (const char* key : {"vision.block_count", "vision.embedding_length",
                            "vision.feed_forward_length", "vision.image_size", "vision.patch_size",
                            "vision.attention.head_count", "vision.num_channels"}) {
      Number(key, key);
    }
    Float("vision.attention.layer_norm_epsilon", "vision.attention.layer_norm_epsilon");
    return Number("vision.projection_dim", "embedding_length");
  }

  const Metadata& source() const { return edit_.source().metadata; }
  std::optional<int64_t> Of(const char* key) const { return source().Integer(arch_ + "." + key); }

 private:
  ViewEdit& edit_;
  std::string arch_;
};

void RenameAll(ViewEdit& edit, const Renames& renames) {
  for (const auto& [from, to] : renames) edit.Rename(from, to);
}

ViewTensor* Mutable(ViewEdit& edit, const std::string& name) {
  for (ViewTensor& tensor : edit.raw().tensors) {
    if (tensor.plan.name == name) return &tensor;
  }
  return nullptr;
}

bool BecomesFloats(TensorType type) {
  return type == tensor_type::kF32 || type == tensor_type::kF16 || type == tensor_type::kBF16 ||
         type == tensor_type::kQ8_0;
}

// The engine's own files hold these in F32: some of its backends convolve with nothing else.
void Widen(ViewEdit& edit, const std::string& name) {
  ViewTensor* tensor = Mutable(edit, name);
  if (tensor != nullptr && BecomesFloats(tensor->plan.type)) tensor->plan.type = tensor_type::kF32;
}

// What a header says of the encoder decides how long the loops below run, so it is compared with
// what the file holds. No encoder that was published has a tenth of these.
constexpr int64_t kMostBlocks = 1024;
constexpr uint64_t kMostRows = uint64_t{1} << 20;  // put in another order, of all tensors together

bool BlocksAreSound(const ViewEdit& edit, int64_t blocks, std::string& why_not) {
  const auto tensors = static_cast<int64_t>(edit.source().tensors.size());
  if (blocks >= 0 && blocks <= std::min(kMostBlocks, tensors)) return true;
  why_not =
      fmt::format("it is said to have {} blocks, with {} tensors in the file", blocks, tensors);
  return false;
}

// Rows of each head in the order of the engine's rope: pairs side by side instead of halves. Ollama
// reorders the language model's alone (convert_mistral.go). False: more than `rows_left`.
bool PairRows(ViewEdit& edit, const std::string& name, int64_t heads, uint64_t& rows_left) {
  ViewTensor* tensor = Mutable(edit, name);
  if (tensor == nullptr || heads <= 0 || tensor->plan.shape.size() != 2 ||
      tensor->pieces.size() != 1 || tensor->plan.shape[1] == 0) {
    return true;
  }
  const uint64_t rows = tensor->plan.shape[1];
  if (rows > rows_left) return false;
  rows_left -= rows;
  const uint64_t head_rows = rows / static_cast<uint64_t>(heads);
  if (head_rows * static_cast<uint64_t>(heads) != rows || head_rows % 2 != 0) return true;
  const ViewPiece whole = tensor->pieces[0];
  const uint64_t row_bytes = whole.bytes / rows;
  tensor->pieces.clear();
  tensor->pieces.reserve(rows);
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t in_head = row % head_rows;
    const uint64_t from = row - in_head + (in_head % 2) * (head_rows / 2) + in_head / 2;
    tensor->pieces.push_back({whole.file, whole.offset + from * row_bytes, row_bytes, whole.type});
  }
  return true;
}

// "PREFIXattn_q.weight", _k, _v as one "PREFIXattn_qkv.weight". False where their types can't be
// joined.
bool JoinQkv(ViewEdit& edit, const std::string& prefix, const char* suffix) {
  ViewTensor* q = Mutable(edit, prefix + "attn_q" + suffix);
  const ViewTensor* k = edit.Find(prefix + "attn_k" + suffix);
  const ViewTensor* v = edit.Find(prefix + "attn_v" + suffix);
  if (q == nullptr || k == nullptr || v == nullptr) return true;
  const bool alike = q->plan.type == k->plan.type && q->plan.type == v->plan.type;
  const ViewTensor* first = q;
  for (const ViewTensor* part : {first, k, v}) {
    if (part->plan.shape != q->plan.shape || (!alike && !BecomesFloats(part->plan.type)))
      return false;
  }
  if (!alike) q->plan.type = tensor_type::kF32;
  q->plan.name = prefix + "attn_qkv" + suffix;
  q->plan.shape.back() *= 3;
  for (const ViewTensor* part : {k, v})
    q->pieces.insert(q->pieces.end(), part->pieces.begin(), part->pieces.end());
  std::erase_if(edit.raw().tensors, [&](const ViewTensor& tensor) {
    return tensor.plan.name == prefix + "attn_k" + suffix ||
           tensor.plan.name == prefix + "attn_v" + suffix;
  });
  return true;
}

// [width, height, 2 moments, channels * outputs] as two of [width, height, channels, outputs].
bool SplitMoments(ViewEdit& edit, uint64_t channels) {
  const ViewTensor* both = edit.Find("v.patch_embed.weight");
  if (both == nullptr) return true;
  const std::vector<uint64_t>& shape = both->plan.shape;
  if (shape.size() != 4 || shape[2] != 2 || channels == 0 || shape[3] % channels != 0 ||
      shape[3] > kMostRows || both->pieces.size() != 1 ||
      (both->plan.type != tensor_type::kF16 && both->plan.type != tensor_type::kF32)) {
    return false;
  }
  const uint64_t element = both->plan.type == tensor_type::kF16 ? 2 : 4;
  const uint64_t moment_bytes = shape[0] * shape[1] * element;
  const ViewPiece whole = both->pieces[0];
  std::vector<ViewTensor> moments;
  for (uint64_t moment = 0; moment < 2; ++moment) {
    ViewTensor tensor;
    tensor.plan = {moment == 0 ? "v.patch_embd.weight" : "v.patch_embd.weight.1",
                   tensor_type::kF32,
                   {shape[0], shape[1], channels, shape[3] / channels}};
    for (uint64_t i = 0; i < shape[3]; ++i) {
      tensor.pieces.push_back(
          {whole.file, whole.offset + (2 * i + moment) * moment_bytes, moment_bytes, whole.type});
    }
    moments.push_back(std::move(tensor));
  }
  auto& tensors = edit.raw().tensors;
  std::erase_if(tensors, [](const ViewTensor& t) { return t.plan.name == "v.patch_embed.weight"; });
  tensors.insert(tensors.end(), moments.begin(), moments.end());
  return true;
}

// CLIP's, which Pixtral and Qwen took over.
const std::vector<float> kClipMean = {0.48145466F, 0.4578275F, 0.40821073F};
const std::vector<float> kClipDeviation = {0.26862954F, 0.26130258F, 0.27577711F};
const std::vector<float> kHalf = {0.5F, 0.5F, 0.5F};

uint32_t WidthOf(const ViewEdit& edit, const char* name) {
  const ViewTensor* tensor = edit.Find(name);
  return tensor == nullptr || tensor->plan.shape.size() < 2
             ? 0
             : static_cast<uint32_t>(tensor->plan.shape[1]);
}

}  // namespace

// convert_gemma3.go; compat: handle_gemma3_clip. Engine: clip.cpp, PROJECTOR_TYPE_GEMMA3.
void Gemma3Projector(ViewEdit& edit, std::string&) {
  Clip clip(edit, "gemma3");
  clip.Usual().Put("use_gelu", true).PixelsAround(kHalf, kHalf);
  // How many patches of a side become one token: 4 in all that were published, which the engine
  // knows.
  const auto tokens = clip.Of("mm.tokens_per_image");
  const auto image = clip.Of("vision.image_size");
  const auto patch = clip.Of("vision.patch_size");
  if (tokens && image && patch && *patch > 0 && *tokens > 0) {
    const auto side = std::lround(std::sqrt(static_cast<double>(*tokens)));
    const auto merged = static_cast<uint32_t>(*image / *patch / side);
    constexpr uint32_t kPublished = 4;
    if (merged > 0 && merged != kPublished) clip.Put("vision.projector.scale_factor", merged);
  }
  RenameAll(edit, {{"v.patch_embedding.", "v.patch_embd."},
                   {"v.position_embedding.", "v.position_embd."},
                   {"v.post_layernorm.", "v.post_ln."},
                   {".layer_norm1.", ".ln1."},
                   {".layer_norm2.", ".ln2."},
                   {".attn_output.", ".attn_out."},
                   {".mlp.fc1.", ".ffn_up."},
                   {".mlp.fc2.", ".ffn_down."},
                   {"mm.mm_input_projection.", "mm.input_projection."},
                   {"mm.mm_soft_emb_norm.", "mm.soft_emb_norm."}});
  Widen(edit, "v.patch_embd.weight");
  Widen(edit, "v.position_embd.weight");
}

// convert_mistral.go; compat: handle_mistral3_clip. Engine: clip.cpp, PROJECTOR_TYPE_PIXTRAL.
void Mistral3Projector(ViewEdit& edit, std::string& why_not) {
  Clip clip(edit, "pixtral");
  clip.Usual()
      .Number("vision.spatial_merge_size", "spatial_merge_size")
      .Float("rope.freq_base", "vision.rope.freq_base")
      .Float("vision.attention.layer_norm_epsilon", "vision.attention.layer_norm_epsilon", 1e-5F)
      .Put("use_silu", true)
      .PixelsAround(kClipMean, kClipDeviation);
  const int64_t heads = clip.Of("vision.attention.head_count").value_or(0);
  const int64_t blocks = clip.Of("vision.block_count").value_or(0);
  if (!BlocksAreSound(edit, blocks, why_not)) return;
  uint64_t rows_left = kMostRows;
  for (int64_t block = 0; block < blocks; ++block) {
    for (const char* matrix : {"attn_q", "attn_k"}) {
      const std::string name = fmt::format("v.blk.{}.{}.weight", block, matrix);
      if (PairRows(edit, name, heads, rows_left)) continue;
      why_not = "its attention has more rows than any encoder";
      return;
    }
  }
  RenameAll(edit, {{"v.patch_conv.", "v.patch_embd."},
                   {"v.encoder_norm.", "v.pre_ln."},
                   {".attn_output.", ".attn_out."},
                   {".attn_norm.", ".ln1."},
                   {".ffn_norm.", ".ln2."},
                   {"mm.linear_1.", "mm.1."},
                   {"mm.linear_2.", "mm.2."},
                   {"mm.patch_merger.merging_layer.", "mm.patch_merger."},
                   {"mm.norm.", "mm.input_norm."}});
  Widen(edit, "v.patch_embd.weight");
  // The engine puts this token's embedding after each row of a picture. It is a row of the model's
  // own embedding; newer Ollamas give zeros for it too.
  const auto width = clip.Of("embedding_length").value_or(0);
  if (width > 0) {
    edit.raw().tensors.push_back(
        {{"v.token_embd.img_break", tensor_type::kF32, {static_cast<uint64_t>(width)}}, {}});
    edit.Note("the token between a picture's rows is zeros, as newer Ollamas have it");
  }
}

// convert_qwen25vl.go; compat: handle_qwen25vl_clip. Engine: clip.cpp, PROJECTOR_TYPE_QWEN25VL.
void Qwen25VlProjector(ViewEdit& edit, std::string&) {
  constexpr uint32_t kImage = 560;  // none is stored: pictures keep their size
  constexpr uint32_t kFullAttentionEvery = 8;
  Clip clip(edit, "qwen2.5vl_merger");
  clip.Usual()
      .Number("vision.spatial_merge_size", "vision.spatial_merge_size")
      .Number("vision.window_size", "vision.window_size")
      .Number("vision.image_size", "vision.image_size", kImage)
      .Number("vision.feed_forward_length", "vision.feed_forward_length",
              WidthOf(edit, "v.blk.0.ffn_up.weight"))
      .Put("use_silu", true)
      .PixelsAround(kClipMean, kClipDeviation);
  const auto full =
      clip.source().PerLayer(edit.source().architecture() + ".vision.fullatt_block_indexes", 1);
  clip.Put("vision.n_wa_pattern",
           full ? static_cast<uint32_t>((*full)[0]) + 1 : kFullAttentionEvery);
  RenameAll(edit, {{"v.merger.ln_q.", "v.post_ln."},
                   {"v.merger.mlp.0.", "mm.0."},
                   {"v.merger.mlp.2.", "mm.2."},
                   {"v.patch_embd_0.weight", "v.patch_embd.weight"},
                   {"v.patch_embd_1.weight", "v.patch_embd.weight.1"}});
  Widen(edit, "v.patch_embd.weight");
  Widen(edit, "v.patch_embd.weight.1");
}

// convert_qwen3vl.go; compat: handle_qwen3vl_clip. Engine: clip.cpp, PROJECTOR_TYPE_QWEN3VL.
void Qwen3VlProjector(ViewEdit& edit, std::string& why_not) {
  constexpr uint32_t kLeastPixels = 65'536;
  constexpr uint32_t kMostPixels = 16'777'216;
  Clip clip(edit, "qwen3vl_merger");
  clip.Usual()
      .Number("vision.num_channels", "vision.num_channels", 3)
      .Number("vision.spatial_merge_size", "vision.spatial_merge_size")
      .Number("vision.temporal_patch_size", "vision.temporal_patch_size", 2)
      .Float("vision.rope.freq_base", "vision.rope.freq_base", 1e4F)
      .Number("vision.image_min_pixels", "vision.shortest_edge", kLeastPixels)
      .Number("vision.image_max_pixels", "vision.longest_edge", kMostPixels)
      .Number("vision.feed_forward_length", "vision.feed_forward_length",
              WidthOf(edit, "v.blk.0.mlp.linear_fc1.weight"))
      .Put("use_gelu", true)
      .PixelsAround(kHalf, kHalf);
  const double positions = WidthOf(edit, "v.pos_embed.weight");
  clip.Number("vision.image_size", "vision.image_size",
              static_cast<uint32_t>(std::sqrt(positions)) *
                  static_cast<uint32_t>(clip.Of("vision.patch_size").value_or(0)));
  const int64_t said = clip.Of("vision.block_count").value_or(0);
  if (!BlocksAreSound(edit, said, why_not)) return;
  const auto blocks = static_cast<uint64_t>(said);
  const std::string deep_key = edit.source().architecture() + ".vision.deepstack_visual_indexes";
  const Array* deep_array = clip.source().FindArray(deep_key);
  if (deep_array != nullptr && deep_array->size() > blocks) {
    why_not = fmt::format("it names {} of its {} blocks as deep", deep_array->size(), blocks);
    return;
  }
  const auto deep =
      deep_array == nullptr ? std::nullopt : clip.source().PerLayer(deep_key, deep_array->size());
  Array is_deep{std::vector<uint8_t>(blocks), true};
  if (deep) {
    auto& flags = std::get<std::vector<uint8_t>>(is_deep.elements);
    for (size_t i = 0; i < deep->size(); ++i) {
      const int64_t block = (*deep)[i];
      if (block < 0 || block >= static_cast<int64_t>(flags.size())) continue;
      flags[static_cast<size_t>(block)] = 1;
      for (const auto& [from, to] :
           Renames{{"norm", "norm"}, {"linear_fc1", "fc1"}, {"linear_fc2", "fc2"}}) {
        edit.Rename(fmt::format("v.deepstack_merger.{}.{}.", i, from),
                    fmt::format("v.deepstack.{}.{}.", block, to));
      }
    }
  }
  if (blocks > 0) clip.Put("vision.is_deepstack_layers", is_deep);
  for (uint64_t block = 0; block < blocks; ++block) {
    const std::string prefix = fmt::format("v.blk.{}.", block);
    if (!JoinQkv(edit, prefix, ".weight") || !JoinQkv(edit, prefix, ".bias")) {
      why_not = "the types of its attention's tensors can't be joined into the engine's one";
      return;
    }
  }
  if (!SplitMoments(edit, static_cast<uint64_t>(clip.Of("vision.num_channels").value_or(3)))) {
    why_not = "its patch embedding has a shape that is not known";
    return;
  }
  RenameAll(edit, {{"v.merger.norm.", "v.post_ln."},
                   {"v.merger.linear_fc1.", "mm.0."},
                   {"v.merger.linear_fc2.", "mm.2."},
                   {"v.patch_embed.bias", "v.patch_embd.bias"},
                   {"v.pos_embed.", "v.position_embd."},
                   {".norm1.", ".ln1."},
                   {".norm2.", ".ln2."},
                   {".mlp.linear_fc1.", ".ffn_up."},
                   {".mlp.linear_fc2.", ".ffn_down."}});
  Widen(edit, "v.position_embd.weight");
}

// convert_llama4.go; compat: handle_llama4_clip. Engine: clip.cpp, PROJECTOR_TYPE_LLAMA4.
void Llama4Projector(ViewEdit& edit, std::string&) {
  Clip clip(edit, "llama4");
  clip.Usual()
      .Float("vision.attention.layer_norm_epsilon", "vision.layer_norm_epsilon")
      .Put("vision.projector_type", std::string("llama4"))
      .Put("use_gelu", true)
      .PixelsAround(kHalf, kHalf);
  constexpr uint32_t kScale = 2;
  const auto ratio = clip.source().Number("llama4.vision.pixel_shuffle_ratio");
  const auto scale =
      ratio && *ratio > 0 ? static_cast<uint32_t>(std::lround(1.0 / *ratio)) : kScale;
  clip.Put("vision.projector.scale_factor", scale > 0 ? scale : kScale);
  RenameAll(edit, {{"v.positional_embedding_vlm", "v.position_embd.weight"},
                   {"v.vision_adapter.mlp.fc1.", "mm.model.mlp.1."},
                   {"v.vision_adapter.mlp.fc2.", "mm.model.mlp.2."},
                   {"mm.linear_1.", "mm.model.fc."},
                   {"v.class_embedding", "v.class_embd"},
                   {"v.layernorm_post.", "v.post_ln."},
                   {"v.layernorm_pre.", "v.pre_ln."},
                   {"v.patch_embedding.", "v.patch_embd."},
                   {".attn_output.", ".attn_out."},
                   {".attn_norm.", ".ln1."},
                   {".ffn_norm.", ".ln2."},
                   {".mlp.fc1.", ".ffn_up."},
                   {".mlp.fc2.", ".ffn_down."}});
  Widen(edit, "v.position_embd.weight");
}

}  // namespace trimma::views
