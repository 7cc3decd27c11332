#include "support/tiny_projector.h"

#include <string>
#include <utility>
#include <vector>

namespace trimma {
namespace {

constexpr uint32_t kWidth = 64;
constexpr uint32_t kPatch = 14;
constexpr uint32_t kFeedForward = 128;

}  // namespace

TinyModel TinyProjector(uint32_t image) {
  TinyModel model;
  Metadata& m = model.metadata;
  m.Set("general.architecture", std::string("clip"));
  m.Set("general.type", std::string("mmproj"));
  m.Set("clip.has_vision_encoder", true);
  m.Set("clip.projector_type", std::string("gemma3"));
  m.Set("clip.use_gelu", true);
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, uint32_t>>{{"embedding_length", kWidth},
                                                     {"feed_forward_length", kFeedForward},
                                                     {"block_count", 2},
                                                     {"attention.head_count", 1},
                                                     {"projection_dim", kProjectorModelWidth},
                                                     {"image_size", image},
                                                     {"patch_size", kPatch}}) {
    m.Set(std::string("clip.vision.") + key, value);
  }
  m.Set("clip.vision.attention.layer_norm_epsilon", 1e-6F);
  for (const char* key : {"clip.vision.image_mean", "clip.vision.image_std"})
    m.Set(key, Array{std::vector<float>{0.5F, 0.5F, 0.5F}});

  const auto add = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    const TensorType type =
        shape.size() == 2 && name.starts_with("v.blk") ? tensor_type::kF16 : tensor_type::kF32;
    model.tensors.push_back({name, type, shape});
    uint64_t bytes = type == tensor_type::kF16 ? 2 : 4;
    for (const uint64_t n : shape) bytes *= n;
    model.data.emplace_back(bytes, '\0');
  };
  const uint64_t side = image / kPatch;
  add("v.patch_embd.weight", {kPatch, kPatch, 3, kWidth});
  add("v.patch_embd.bias", {kWidth});
  add("v.position_embd.weight", {kWidth, side * side});
  add("v.post_ln.weight", {kWidth});
  add("v.post_ln.bias", {kWidth});
  add("mm.soft_emb_norm.weight", {kWidth});
  add("mm.input_projection.weight", {kProjectorModelWidth, kWidth});
  for (const std::string layer : {"v.blk.0.", "v.blk.1."}) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      add(layer + name + ".weight", {kWidth, kWidth});
      add(layer + name + ".bias", {kWidth});
    }
    add(layer + "ffn_up.weight", {kWidth, kFeedForward});
    add(layer + "ffn_up.bias", {kFeedForward});
    add(layer + "ffn_down.weight", {kFeedForward, kWidth});
    add(layer + "ffn_down.bias", {kWidth});
    for (const char* norm : {"ln1", "ln2"}) {
      add(layer + norm + ".weight", {kWidth});
      add(layer + norm + ".bias", {kWidth});
    }
  }
  return model;
}

}  // namespace trimma
