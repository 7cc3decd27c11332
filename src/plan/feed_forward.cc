#include "plan/feed_forward.h"

#include <fmt/format.h>

#include <charconv>
#include <set>
#include <string>
#include <string_view>

namespace trimma {

int FeedForwardLayers(const GgufFile& file) {
  constexpr std::string_view kLayer = "blk.";
  std::set<int> found;
  for (const TensorInfo& tensor : file.tensors) {
    if (!tensor.name.starts_with(kLayer) || !tensor.name.ends_with(".ffn_down.weight")) continue;
    int index = -1;
    std::from_chars(tensor.name.data() + kLayer.size(), tensor.name.data() + tensor.name.size(),
                    index);
    found.insert(index);
  }
  int layers = 0;
  while (found.contains(layers)) ++layers;
  return layers;
}

RuntimeSettings WithFeedForwardOnHost(RuntimeSettings settings, int layers, int hosted) {
  CHECK(hosted > 0);
  settings.gpu_layers = layers;
  std::string which;
  for (int i = 0; i < hosted; ++i) which += fmt::format("{}{}", i == 0 ? "" : "|", i);
  settings.host_tensors = {fmt::format(R"(blk\.({})\.ffn_(up|down|gate|gate_up)\.)", which)};
  return settings;
}

Result<std::optional<int>> FewestOnHost(int most,
                                        const std::function<Result<bool>(int hosted)>& fits) {
  if (most < 1) return std::optional<int>();
  TRY(const bool all, fits(most));
  if (!all) return std::optional<int>();
  int low = 0;  // too few: without any the GPUs don't hold it
  int high = most;
  while (high - low > 1) {
    const int half = low + (high - low) / 2;
    TRY(const bool enough, fits(half));
    (enough ? high : low) = half;
  }
  return std::optional<int>(high);
}

}  // namespace trimma
