#include "support/stored_model.h"

#include <fmt/format.h>
#include <hash/hash.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>

#include "base/half.h"
#include "support/stored_pieces.h"

namespace trimma {

using namespace stored;

namespace {

// Small random numbers for every tensor that has no data yet.
void Fill(TinyModel& model, uint64_t seed) {
  std::minstd_rand random(static_cast<uint32_t>(seed));
  while (model.data.size() < model.tensors.size()) {
    const TensorPlan& plan = model.tensors[model.data.size()];
    const uint64_t n =
        std::accumulate(plan.shape.begin(), plan.shape.end(), uint64_t{1}, std::multiplies<>());
    const bool half = plan.type == tensor_type::kF16;
    std::string bytes(n * (half ? 2 : 4), '\0');
    for (uint64_t i = 0; i < n; ++i) {
      const float value = static_cast<float>(random() % 2048) / 10240 - 0.1F;
      const uint16_t rounded = FloatToHalf(value);
      if (half) {
        std::memcpy(&bytes[i * 2], &rounded, sizeof rounded);
      } else {
        std::memcpy(&bytes[i * 4], &value, sizeof value);
      }
    }
    model.data.push_back(std::move(bytes));
  }
}

}  // namespace

TinyModel StoredGemma3() {
  constexpr uint64_t kSeed = 1;
  TinyModelOptions options;
  options.architecture = "gemma3";
  options.embedding = kText;
  options.heads = kHeads;
  options.kv_heads = 2;
  options.head_size = kHead;
  options.feed_forward = 256;
  options.seed = kSeed;
  static const TinyModel made = MakeTinyModel(options);
  TinyModel model = made;
  Metadata& m = model.metadata;
  m.Erase("gemma3.attention.layer_norm_rms_epsilon");
  m.Erase("gemma3.rope.freq_base");
  m.Erase("general.type");
  m.Erase("general.name");
  m.Set("gemma3.rope.local.freq_base", 10000.0F);
  m.Set("gemma3.mm.tokens_per_image", uint32_t{16});
  m.Set("general.quantization_version", uint32_t{2});
  m.Set("tokenizer.ggml.pre", std::string("default"));
  m.Set("tokenizer.ggml.add_eos_token", false);
  m.Set("tokenizer.ggml.add_padding_token", false);
  m.Set("tokenizer.ggml.add_unknown_token", false);
  VisionKeys(m, "gemma3");
  m.Set("gemma3.vision.attention.layer_norm_epsilon", 1e-6F);
  AddToken(m, "<image_soft_token>");
  Shapes shapes(model);
  shapes.Both("v.patch_embedding", {kPatch, kPatch, 3, kVision});
  shapes.Matrix("v.position_embedding.weight", {kVision, kPatches});
  shapes.Norm("v.post_layernorm", kVision);
  shapes.Norm("mm.mm_soft_emb_norm", kVision, false);
  shapes.Matrix("mm.mm_input_projection.weight", {kText, kVision});
  for (const std::string blk : {"v.blk.0.", "v.blk.1."}) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
      shapes.Both(blk + name, {kVision, kVision});
    shapes.Both(blk + "mlp.fc1", {kVision, kVisionFeedForward});
    shapes.Both(blk + "mlp.fc2", {kVisionFeedForward, kVision});
    for (const char* name : {"layer_norm1", "layer_norm2"}) shapes.Norm(blk + name, kVision);
  }
  Fill(model, kSeed);
  Order(model);
  return model;
}

GgufFile HeaderOf(const TinyModel& model, const std::string& name) {
  const auto layout = LayOutGguf(model.metadata, model.tensors);
  CHECK(layout.ok());
  auto file = ParseGguf(layout->header, layout->file_bytes, name);
  CHECK(file.ok());
  file->paths = {name};
  return *std::move(file);
}

std::string WriteOllamaStore(const std::string& root, const std::string& name,
                             const std::string& bytes) {
  namespace fs = std::filesystem;
  const std::string digest = hash_sha256_hex(bytes.data(), bytes.size());
  const fs::path manifests = fs::path(root) / "manifests/registry.ollama.ai/library" / name;
  fs::create_directories(manifests);
  fs::create_directories(fs::path(root) / "blobs");
  const std::string path = root + "/blobs/sha256-" + digest;
  std::ofstream(path, std::ios::binary) << bytes;
  std::ofstream(manifests / "latest") << fmt::format(
      R"({{"schemaVersion":2,"layers":[{{"mediaType":"application/vnd.ollama.image.model",)"
      R"("digest":"sha256:{}","size":{}}}]}})",
      digest, bytes.size());
  return path;
}

}  // namespace trimma
