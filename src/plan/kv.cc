#include "plan/kv.h"

#include <string>

namespace trimma {
namespace {

// Every how many layers one attends to everything, where the metadata doesn't say: the engine's own
// tables (src/models/gemma2.cpp, gemma3.cpp and others at the pinned commit).
uint64_t WindowPattern(const std::string& architecture) {
  if (architecture == "gemma2") return 2;
  if (architecture == "gemma3" || architecture == "gemma3n")
    return architecture == "gemma3n" ? 5 : 6;
  if (architecture == "cohere2") return 4;
  if (architecture == "gpt-oss") return 2;
  return 0;
}

}  // namespace

bool IsWindowedLayer(const GgufFile& file, uint64_t layer) {
  const std::string arch = file.architecture();
  if (file.metadata.Integer(arch + ".attention.sliding_window").value_or(0) <= 0) return false;
  const auto pattern = file.metadata.FindArray(arch + ".attention.sliding_window_pattern");
  if (pattern != nullptr) {
    const auto* flags = std::get_if<std::vector<uint8_t>>(&pattern->elements);
    return flags != nullptr && layer < flags->size() && (*flags)[layer] != 0;
  }
  const auto every = file.metadata.Integer(arch + ".attention.sliding_window_pattern");
  const uint64_t period = every && *every > 0 ? static_cast<uint64_t>(*every) : WindowPattern(arch);
  return period > 0 && (layer + 1) % period != 0;
}

bool KvTypeFitsHeads(const GgufFile& file, TensorType kv) {
  const std::string arch = file.architecture();
  const Metadata& m = file.metadata;
  const auto layers = m.Integer(arch + ".block_count").value_or(0);
  const auto heads = layers > 0
                         ? m.PerLayer(arch + ".attention.head_count", static_cast<uint64_t>(layers))
                         : std::nullopt;
  int64_t head_size = 0;
  if (heads && heads->front() > 0)
    head_size = m.Integer(arch + ".embedding_length").value_or(0) / heads->front();
  const int64_t block = InfoOf(kv).block;
  return m.Integer(arch + ".attention.key_length").value_or(head_size) % block == 0 &&
         m.Integer(arch + ".attention.value_length").value_or(head_size) % block == 0;
}

std::optional<KvShape> KvBytesPerToken(const GgufFile& file) {
  const std::string arch = file.architecture();
  const Metadata& m = file.metadata;
  const auto layers = m.Integer(arch + ".block_count");
  const auto embedding = m.Integer(arch + ".embedding_length");
  if (!layers || !embedding || *layers <= 0 || m.Has(arch + ".attention.kv_lora_rank"))
    return std::nullopt;
  const auto n = static_cast<uint64_t>(*layers);
  const auto heads = m.PerLayer(arch + ".attention.head_count", n);
  auto kv_heads = m.PerLayer(arch + ".attention.head_count_kv", n);
  if (!heads) return std::nullopt;
  if (!kv_heads) kv_heads = heads;
  const uint64_t window =
      static_cast<uint64_t>(m.Integer(arch + ".attention.sliding_window").value_or(0));

  KvShape shape;
  for (uint64_t layer = 0; layer < n; ++layer) {
    const int64_t head_count = (*heads)[layer];
    const int64_t head_size = head_count > 0 ? *embedding / head_count : 0;
    const int64_t key = m.Integer(arch + ".attention.key_length").value_or(head_size);
    const int64_t value = m.Integer(arch + ".attention.value_length").value_or(head_size);
    const auto bytes = static_cast<uint64_t>((*kv_heads)[layer] * (key + value) * 2);
    shape.bytes_per_token += bytes;
    if (IsWindowedLayer(file, layer)) shape.windowed_bytes_per_token += bytes;
  }
  if (shape.windowed_bytes_per_token > 0) shape.window = window;
  return shape;
}

}  // namespace trimma
