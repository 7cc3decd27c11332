#include "support/stored_pieces.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace trimma::stored {
namespace {

template <typename T>
void Append(Metadata& metadata, const char* key, const T& element) {
  Array array = *metadata.FindArray(key);
  if constexpr (std::is_same_v<T, std::string>) {
    std::get<Strings>(array.elements).push_back(element);
  } else {
    std::get<std::vector<T>>(array.elements).push_back(element);
  }
  metadata.Set(key, array);
}

}  // namespace

void Order(TinyModel& model) {
  std::vector<Metadata::Entry> entries = model.metadata.entries();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  model.metadata = {};
  for (auto& [key, value] : entries) model.metadata.Set(key, value);
  const auto block = [](const std::string& name) {
    return name.starts_with("blk.") ? std::stoi(name.substr(4)) : std::numeric_limits<int>::max();
  };
  std::vector<size_t> order(model.tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const std::string& x = model.tensors[a].name;
    const std::string& y = model.tensors[b].name;
    return std::pair(block(x), x) < std::pair(block(y), y);
  });
  TinyModel sorted;
  sorted.metadata = model.metadata;
  for (const size_t i : order) {
    sorted.tensors.push_back(model.tensors[i]);
    if (!model.data.empty()) sorted.data.push_back(model.data[i]);
  }
  model = std::move(sorted);
}

void AddToken(Metadata& metadata, const std::string& text) {
  enum : int32_t { kUserDefined = 4 };
  Append(metadata, "tokenizer.ggml.tokens", text);
  Append(metadata, "tokenizer.ggml.scores", -1.0F);
  Append(metadata, "tokenizer.ggml.token_type", int32_t{kUserDefined});
}

void Numbers(Metadata& metadata, const std::string& prefix,
             const std::vector<std::pair<const char*, uint32_t>>& values) {
  for (const auto& [key, value] : values) metadata.Set(prefix + key, value);
}

void VisionKeys(Metadata& metadata, const std::string& arch) {
  Numbers(metadata, arch + ".vision.",
          {{"block_count", 2},
           {"embedding_length", kVision},
           {"feed_forward_length", kVisionFeedForward},
           {"image_size", kImage},
           {"patch_size", kPatch},
           {"num_channels", 3},
           {"attention.head_count", 2}});
}

}  // namespace trimma::stored
