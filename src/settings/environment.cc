#include <fmt/format.h>

#include "base/text.h"
#include "settings/files.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

std::string KvCache(const RuntimeSettings& settings) {
  const std::string& type = settings.kv_k;
  if (type == settings.kv_v && (type == "f16" || type == "q8_0" || type == "q4_0")) {
    return fmt::format(
        "# Type of the KV cache, K and V alike (f16, q8_0 or q4_0); quantised needs flash "
        "attention.\n"
        "OLLAMA_KV_CACHE_TYPE={}\n",
        EnvironmentValue(type));
  }
  return fmt::format(
      "# Types of the KV cache, K and V apart. OLLAMA_KV_CACHE_TYPE can't say this and must stay\n"
      "# unset; Ollama 0.30 and later pass these two on to llama-server (undocumented).\n"
      "LLAMA_ARG_CACHE_TYPE_K={}\n"
      "LLAMA_ARG_CACHE_TYPE_V={}\n",
      EnvironmentValue(type), EnvironmentValue(settings.kv_v));
}

std::string Flash(FlashAttention flash_attention) {
  if (flash_attention == FlashAttention::kAuto) {
    return "# OLLAMA_FLASH_ATTENTION is left unset: Ollama then decides by the GPU.\n";
  }
  return fmt::format(
      "# Flash attention: 1 forces it, 0 forbids it, unset decides by the GPU.\n"
      "OLLAMA_FLASH_ATTENTION={}\n",
      flash_attention == FlashAttention::kOn ? 1 : 0);
}

}  // namespace

std::string RenderEnvironment(const Applied& applied) {
  return fmt::format(
      "# Written by trimma {} for {}.\n"
      "# Checked against Ollama v0.33.0-rc2. Read by `ollama serve` only, not by the client, and\n"
      "# for every model it runs. With systemd, in a drop-in (systemctl edit ollama):\n"
      "#   [Service]\n"
      "#   EnvironmentFile=/path/to/this/file\n\n"
      "{}\n{}\n"
      "# Context of a model whose Modelfile or request sets no num_ctx.\n"
      "OLLAMA_CONTEXT_LENGTH={}\n\n"
      "# Not here, since Ollama doesn't read them: OLLAMA_NUM_GPU, OLLAMA_NUM_CTX,\n"
      "# OLLAMA_NUM_THREAD, OLLAMA_GPU_LAYERS. A Modelfile's num_gpu, num_ctx and num_thread do\n"
      "# that.\n",
      SafeText(applied.trimma_version), SafeText(applied.name), KvCache(applied.settings),
      Flash(applied.settings.flash_attention), applied.settings.context);
}

}  // namespace trimma
