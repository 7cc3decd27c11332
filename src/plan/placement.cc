#include "plan/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>

#include "base/result.h"

namespace trimma {
namespace {

// The layer of "blk.12.ffn_down_exps.weight"; -1 for a tensor of no layer.
int LayerOf(const std::string& name) {
  if (!name.starts_with("blk.")) return -1;
  int layer = -1;
  std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

}  // namespace

Placements::Placements(const GgufFile& file, int layers) : layers_(layers) {
  std::set<int> with_experts;
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.name.find("exps.weight") != std::string::npos)
      with_experts.insert(LayerOf(tensor.name));
  }
  expert_layers_ = static_cast<int>(with_experts.size());
  if (!with_experts.empty()) first_expert_layer_ = *with_experts.begin();
}

RuntimeSettings Placements::At(size_t place, RuntimeSettings settings) const {
  CHECK(place < size());
  const int step = static_cast<int>(place);
  settings.gpu_layers = layers_ - std::max(0, step - expert_layers_);
  // Beyond them, layers leave whole; those on the host keep their experts there anyway.
  const int hosted = *settings.gpu_layers > 0 ? std::min(step, expert_layers_) : 0;
  if (hosted > 0) {
    std::string alternatives;
    for (int i = 0; i < hosted; ++i)
      alternatives += fmt::format("{}{}", i == 0 ? "" : "|", first_expert_layer_ + i);
    // As --n-cpu-moe names them (common/common.h).
    settings.host_tensors.push_back(
        fmt::format(R"(blk\.({})\.ffn_(up|down|gate|gate_up)_(ch|)exps)", alternatives));
  }
  return settings;
}

uint64_t WidestRow(const GgufFile& file) {
  uint64_t widest = 0;
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.shape.size() > 1 && tensor.name != "token_embd.weight")
      widest = std::max(widest, tensor.row_length());
  }
  return widest;
}

}  // namespace trimma
