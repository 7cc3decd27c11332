#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "settings/files.h"
#include "settings/ollama_versions.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

// One variable with what is to be said about it, or only what is to be said.
struct Line {
  std::string comment;  // may be ""; several lines are separated by '\n'
  std::string name;     // "": a comment alone
  std::string value;
};

bool IsQuantised(const std::string& type) {
  return type != "f16" && type != "f32" && type != "bf16";
}

void AddKvCache(const RuntimeSettings& settings, const std::string& version,
                std::vector<Line>& lines) {
  const std::string& type = settings.kv_k;
  if (type == settings.kv_v && (type == "f16" || type == "q8_0" || type == "q4_0")) {
    lines.push_back(
        {"Type of the KV cache, K and V alike (f16, q8_0 or q4_0); quantised needs flash "
         "attention.",
         "OLLAMA_KV_CACHE_TYPE", type});
    return;
  }
  const auto apart = HasTrait(OllamaTrait::kKvTypesApart, version);
  if (apart == false) {
    lines.push_back(
        {fmt::format("A KV cache of {} and {} needs Ollama 0.30 or later; this one is {}.",
                     SafeText(type), SafeText(settings.kv_v), SafeText(version)),
         "", ""});
    return;
  }
  lines.push_back(
      {"Types of the KV cache, K and V apart. OLLAMA_KV_CACHE_TYPE can't say this and must stay\n"
       "unset; Ollama 0.30 and later pass these two on to llama-server (undocumented).",
       "LLAMA_ARG_CACHE_TYPE_K", type});
  lines.push_back({"", "LLAMA_ARG_CACHE_TYPE_V", settings.kv_v});
}

void AddFlash(const RuntimeSettings& settings, const std::string& version,
              std::vector<Line>& lines) {
  const bool quantised = IsQuantised(settings.kv_k) || IsQuantised(settings.kv_v);
  if (settings.flash_attention != FlashAttention::kAuto) {
    lines.push_back({"Flash attention: 1 forces it, 0 forbids it, unset decides by the GPU.",
                     "OLLAMA_FLASH_ATTENTION",
                     settings.flash_attention == FlashAttention::kOn ? "1" : "0"});
  } else if (quantised && HasTrait(OllamaTrait::kKvNeedsFlashSet, version).value_or(true)) {
    lines.push_back({"Set, since Ollama before 0.30 ignores a quantised KV cache without it.",
                     "OLLAMA_FLASH_ATTENTION", "1"});
  } else {
    lines.push_back(
        {"OLLAMA_FLASH_ATTENTION is left unset: Ollama then decides by the GPU.", "", ""});
  }
}

void AddMargin(const EnvironmentTarget& target, std::vector<Line>& lines) {
  if (!target.fit_margin_mib) return;
  const std::string mib = std::to_string(*target.fit_margin_mib);
  if (HasTrait(OllamaTrait::kReadsFitTarget, target.ollama_version).value_or(false)) {
    lines.push_back(
        {"MiB of a graphics card that stay free. Unset, Ollama keeps 1024, and the size\n"
         "of a projector twice.",
         "LLAMA_ARG_FIT_TARGET", mib});
  } else {
    lines.push_back(
        {fmt::format("A margin of {} MiB (LLAMA_ARG_FIT_TARGET) is read by Ollama 0.30 and "
                     "later only.",
                     mib),
         "", ""});
  }
}

std::vector<Line> Lines(const Applied& applied, const EnvironmentTarget& target) {
  std::vector<Line> lines;
  AddKvCache(applied.settings, target.ollama_version, lines);
  AddFlash(applied.settings, target.ollama_version, lines);
  lines.push_back({"Context of a model whose Modelfile or request sets no num_ctx.",
                   "OLLAMA_CONTEXT_LENGTH", std::to_string(applied.settings.context)});
  if (applied.settings.parallel > 1) {
    lines.push_back({"Requests served side by side; each gets a context of its own.",
                     "OLLAMA_NUM_PARALLEL", std::to_string(applied.settings.parallel)});
  }
  if (!target.keep_alive.empty()) {
    lines.push_back(
        {"How long a model stays loaded after a request.", "OLLAMA_KEEP_ALIVE", target.keep_alive});
  }
  AddMargin(target, lines);
  return lines;
}

std::string Comment(const std::string& text) {
  std::string comment;
  if (text.empty()) return comment;
  for (const std::string& line : Split(text, '\n')) comment += fmt::format("# {}\n", line);
  return comment;
}

std::string Head(const Applied& applied, const EnvironmentTarget& target) {
  const bool known = ParseOllamaVersion(target.ollama_version).has_value();
  return fmt::format(
      "# Written by trimma {} for {}{}.\n"
      "# Checked against Ollama v0.17.4 and v0.33.0-rc2.\n",
      SafeText(applied.trimma_version), SafeText(applied.name),
      known ? fmt::format(" on Ollama {}", SafeText(target.ollama_version)) : "");
}

constexpr const char* kUnread =
    "# Not here, since Ollama doesn't read them: OLLAMA_NUM_GPU, OLLAMA_NUM_CTX,\n"
    "# OLLAMA_NUM_THREAD, OLLAMA_GPU_LAYERS. A Modelfile's num_gpu, num_ctx and num_thread do\n"
    "# that.\n";

}  // namespace

std::vector<EnvironmentVariable> EnvironmentVariables(const Applied& applied,
                                                      const EnvironmentTarget& target) {
  std::vector<EnvironmentVariable> variables;
  for (const Line& line : Lines(applied, target))
    if (!line.name.empty()) variables.push_back({line.name, line.value});
  return variables;
}

std::string RenderEnvironment(const Applied& applied, const EnvironmentTarget& target) {
  std::string text = Head(applied, target) +
                     "# Read by `ollama serve` only, not by the client, and for every model it "
                     "runs. With\n"
                     "# systemd, in a drop-in (trimma apply --systemd, or systemctl edit ollama):\n"
                     "#   [Service]\n"
                     "#   EnvironmentFile=/path/to/this/file\n\n";
  for (const Line& line : Lines(applied, target)) {
    text += Comment(line.comment);
    if (!line.name.empty()) text += fmt::format("{}={}\n", line.name, EnvironmentValue(line.value));
    text += "\n";
  }
  return text + kUnread;
}

std::string RenderSystemdDropIn(const Applied& applied, const EnvironmentTarget& target) {
  std::string text = Head(applied, target) + "[Service]\n";
  for (const Line& line : Lines(applied, target)) {
    text += Comment(line.comment);
    if (!line.name.empty())
      text += fmt::format("Environment={}\n", UnitWord(line.name, line.value));
  }
  return text + kUnread;
}

}  // namespace trimma
