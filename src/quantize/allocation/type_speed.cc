#include "quantize/allocation/type_speed.h"

namespace trimma {
namespace {

// "blk.12.ffn_up.weight" to "blk..ffn_up.weight". The engine computes less of the last layer: only
// its last token has a reader.
std::string WithoutLayer(const GgufFile& file, const std::string& name) {
  if (!name.starts_with("blk.")) return name;
  const size_t dot = name.find('.', 4);
  if (dot == std::string::npos) return name;
  const auto blocks = file.metadata.Integer(file.architecture() + ".block_count");
  if (blocks && name.substr(4, dot - 4) == std::to_string(*blocks - 1)) return name;
  return "blk." + name.substr(dot);
}

}  // namespace

std::optional<Seconds> TypeSpeed::Of(const std::vector<TensorType>& types) const {
  const SpeedModel model(source_, types, target_.gpus, target_.host);
  const auto token = model.TokenSeconds(target_.settings, kDepth);
  const auto prompt = model.PromptSeconds(target_.settings, kPrompt);
  if (!token || !prompt) return std::nullopt;
  return Seconds{*token, *prompt};
}

std::optional<Seconds> TypeSpeed::Extra(size_t tensor, TensorType type) {
  if (type == base_[tensor]) return Seconds{};
  if (!base_seconds_) base_seconds_ = Of(base_);
  if (!*base_seconds_) return std::nullopt;
  const TensorInfo& info = source_.tensors[tensor];
  const Kind kind = {WithoutLayer(source_, info.name), info.shape, base_[tensor], type};
  const auto known = known_.find(kind);
  if (known != known_.end()) return known->second;
  std::vector<TensorType> types = base_;
  types[tensor] = type;
  std::optional<Seconds> extra = Of(types);
  if (extra) {
    extra->token -= (*base_seconds_)->token;
    extra->prompt -= (*base_seconds_)->prompt;
  }
  known_[kind] = extra;
  return extra;
}

}  // namespace trimma
