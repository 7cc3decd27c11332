#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/runtime.h"

namespace trimma {

std::string Difference(const RuntimeSettings& defaults, const RuntimeSettings& settings) {
  std::string text;
  const auto say = [&](bool differs, const std::string& words) {
    if (differs) text += fmt::format("{}{}", text.empty() ? "" : ", ", words);
  };
  const auto count = [](const std::optional<int>& value) {
    return value ? std::to_string(*value) : std::string("default");
  };
  say(settings.context != defaults.context, fmt::format("context {}", settings.context));
  say(settings.threads != defaults.threads, "decode threads " + count(settings.threads));
  say(settings.threads_batch != defaults.threads_batch,
      "prefill threads " + count(settings.threads_batch));
  say(settings.batch != defaults.batch, fmt::format("batch {}", settings.batch));
  say(settings.ubatch != defaults.ubatch, fmt::format("ubatch {}", settings.ubatch));
  say(settings.flash_attention != defaults.flash_attention,
      fmt::format("flash attention {}", NameOf(settings.flash_attention)));
  say(settings.kv_k != defaults.kv_k || settings.kv_v != defaults.kv_v,
      fmt::format("KV cache {}/{}", settings.kv_k, settings.kv_v));
  if (settings.use_gpu != defaults.use_gpu) {
    say(true, settings.use_gpu ? "GPU layers " + count(settings.gpu_layers) : "GPUs left out");
  } else {
    say(settings.gpu_layers != defaults.gpu_layers, "GPU layers " + count(settings.gpu_layers));
  }
  say(settings.host_tensors != defaults.host_tensors,
      settings.host_tensors.empty()
          ? "no tensors kept on the host by name"
          : fmt::format("on the host {}", fmt::join(settings.host_tensors, ", ")));
  say(settings.parallel != defaults.parallel, fmt::format("parallel {}", settings.parallel));
  say(settings.load_mode != defaults.load_mode,
      fmt::format("load mode {}", NameOf(settings.load_mode)));
  say(settings.repack != defaults.repack, settings.repack ? "repacking" : "no repacking");
  return text;
}

}  // namespace trimma
