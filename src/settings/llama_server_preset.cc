// Option names and value syntax as in the engine's common/arg.cpp; the preset's grammar as in its
// common/preset.cpp, where a value ends at a ';', a '#' or the line and nothing can be escaped.
#include <fmt/format.h>

#include <cctype>
#include <utility>
#include <vector>

#include "base/text.h"
#include "settings/files.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

constexpr size_t kMaxNameBytes = 200;

// A switch has no value: "".
std::vector<std::pair<const char*, std::string>> Options(const Applied& applied) {
  const RuntimeSettings& settings = applied.settings;
  std::vector<std::pair<const char*, std::string>> options = {
      {"model", applied.model_path},
      {"ctx-size", std::to_string(settings.context)},
      // By default there are 4 slots, and sliding-window caches grow with them: for one sequence
      // was measured.
      {"parallel", std::to_string(settings.parallel)},
      {"batch-size", std::to_string(settings.batch)},
      {"ubatch-size", std::to_string(settings.ubatch)},
  };
  if (!applied.projector_path.empty()) options.emplace_back("mmproj", applied.projector_path);
  if (settings.threads) options.emplace_back("threads", std::to_string(*settings.threads));
  if (settings.threads_batch) {
    options.emplace_back("threads-batch", std::to_string(*settings.threads_batch));
  }
  options.emplace_back("flash-attn", NameOf(settings.flash_attention));
  options.emplace_back("cache-type-k", settings.kv_k);
  options.emplace_back("cache-type-v", settings.kv_v);
  if (settings.gpu_layers) {
    options.emplace_back("n-gpu-layers", std::to_string(*settings.gpu_layers));
  }
  // The projector goes with it (common_params_parse). Layers alone would not do: with 0 of them a
  // card still holds work buffers and computes large batches.
  if (!settings.use_gpu) options.emplace_back("device", "none");
  if (!settings.host_tensors.empty()) {
    std::string places;
    for (const std::string& pattern : settings.host_tensors)
      places += fmt::format("{}{}=CPU", places.empty() ? "" : ",", pattern);
    options.emplace_back("override-tensor", places);
  }
  if (settings.load_mode != LoadMode::kAuto)
    options.emplace_back("load-mode", NameOf(settings.load_mode));
  if (!settings.repack) options.emplace_back("no-repack", "");
  options.emplace_back("temp", FloatText(applied.sampling.temperature));
  options.emplace_back("top-p", FloatText(applied.sampling.top_p));
  return options;
}

// The variable that says the same as an option (common/arg.cpp, set_env); "" where there is none.
const char* VariableOf(std::string_view option) {
  constexpr std::pair<std::string_view, const char*> kVariables[] = {
      {"model", "LLAMA_ARG_MODEL"},
      {"ctx-size", "LLAMA_ARG_CTX_SIZE"},
      {"parallel", "LLAMA_ARG_N_PARALLEL"},
      {"batch-size", "LLAMA_ARG_BATCH"},
      {"ubatch-size", "LLAMA_ARG_UBATCH"},
      {"mmproj", "LLAMA_ARG_MMPROJ"},
      {"threads", "LLAMA_ARG_THREADS"},
      {"flash-attn", "LLAMA_ARG_FLASH_ATTN"},
      {"cache-type-k", "LLAMA_ARG_CACHE_TYPE_K"},
      {"cache-type-v", "LLAMA_ARG_CACHE_TYPE_V"},
      {"n-gpu-layers", "LLAMA_ARG_N_GPU_LAYERS"},
      {"device", "LLAMA_ARG_DEVICE"},
      {"override-tensor", "LLAMA_ARG_OVERRIDE_TENSOR"},
      {"load-mode", "LLAMA_ARG_LOAD_MODE"},
      {"no-repack", "LLAMA_ARG_NO_REPACK"},
      {"temp", "LLAMA_ARG_TEMPERATURE"},
      {"top-p", "LLAMA_ARG_TOP_P"},
  };
  for (const auto& [name, variable] : kVariables)
    if (name == option) return variable;
  return "";
}

// True when the preset's parser reads `value` back as it is.
bool FitsPreset(const std::string& value) {
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == ';' || c == '#') return false;
  }
  return IsUtf8(value) && !value.empty() && Trim(value) == value && !value.ends_with('\\');
}

// A section's name that its parser neither ends early nor changes: a part after ':' is taken for
// a quantisation's tag and put into capitals.
std::string SectionName(const std::string& name) {
  std::string section = name.substr(0, kMaxNameBytes);
  for (char& c : section) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (!plain && c != '.' && c != '_' && c != '-' && c != '/') c = '-';
  }
  return section.empty() ? "model" : section;
}

// Aliases are a list with commas.
bool FitsAlias(const std::string& name) {
  return name.size() <= kMaxNameBytes && FitsPreset(name) && SafeText(name) == name &&
         name.find(',') == std::string::npos;
}

}  // namespace

Result<std::string> RenderLlamaServerPreset(const Applied& applied) {
  TRY_STATUS(CheckApplied(applied));
  for (const std::string& path : {applied.model_path, applied.projector_path}) {
    if (path.empty() || FitsPreset(path)) continue;
    return Error{Code::kInvalid,
                 fmt::format("a llama-server preset can't name this path: {}", SafeText(path)),
                 "move or link the file to a path without ';', '#', control characters, and "
                 "without a blank or backslash at its end"};
  }
  const std::string section = SectionName(applied.name);
  std::string text = fmt::format(
      "; Written by trimma {} for {}.\n"
      "; Checked against {}: llama-server --models-preset FILE\n"
      "version = 1\n\n"
      "[{}]\n",
      SafeText(applied.trimma_version), SafeText(applied.name), SafeText(applied.engine_version),
      section);
  if (section != applied.name && FitsAlias(applied.name)) {
    text += fmt::format("alias = {}\n", applied.name);
  }
  for (const auto& [key, value] : Options(applied))
    text += fmt::format("{} = {}\n", key, value.empty() ? "true" : value);
  return text;
}

std::vector<std::string> LlamaServerArguments(const Applied& applied) {
  std::vector<std::string> words;
  for (const auto& [key, value] : Options(applied)) {
    words.push_back(fmt::format("--{}", key));
    if (!value.empty()) words.push_back(value);
  }
  return words;
}

std::string LlamaServerCommand(const Applied& applied) {
  std::string command = "llama-server";
  for (const std::string& word : LlamaServerArguments(applied)) command += " " + ShellWord(word);
  return command;
}

std::string RenderLlamaServerEnvironment(const Applied& applied) {
  std::string text = fmt::format(
      "# Written by trimma {} for {}.\n"
      "# Checked against {}: llama-server without options reads these.\n"
      "# With systemd: EnvironmentFile=/path/to/this/file; in a shell: set -a; . FILE; set +a\n",
      SafeText(applied.trimma_version), SafeText(applied.name), SafeText(applied.engine_version));
  for (const auto& [key, value] : Options(applied)) {
    const std::string variable = VariableOf(key);
    text += variable.empty()
                ? fmt::format("# no variable says --{} {}\n", key, SafeText(value))
                : fmt::format("{}={}\n", variable,
                              EnvironmentValue(value.empty() ? "true" : std::string_view(value)));
  }
  return text;
}

}  // namespace trimma
