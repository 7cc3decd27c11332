#include "ollama/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace trimma {
namespace {

// Ollama's "as you think best", for settings that the original sets and the tuning leaves open: a
// parameter of the original can be replaced but not removed.
void OpenWhatTheOriginalFixed(const Json& original, Json& parameters) {
  if (original.contains("num_gpu") && !parameters.contains("num_gpu")) parameters["num_gpu"] = -1;
  if (original.contains("num_thread") && !parameters.contains("num_thread"))
    parameters["num_thread"] = 0;
}

void KeepOwnSampling(const Applied& applied, const Json& original, Json& parameters) {
  if (applied.sampling.chosen) return;
  for (const char* name : {"temperature", "top_p"})
    if (original.contains(name)) parameters.erase(name);
}

std::string ParameterText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Numbers that a server printed and read again: 0.9 is 0.9 whatever its type.
bool SameValue(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.get<double>();
    const double y = b.get<double>();
    return std::abs(x - y) <= 1e-6 * std::max({1.0, std::abs(x), std::abs(y)});
  }
  return a == b;
}

std::string Digest12(const std::string& digest) {
  constexpr size_t kStart = 7;  // "sha256:"
  return digest.size() > kStart ? digest.substr(kStart, 12) : "none";
}

std::string Weights(const OllamaShow& show) {
  return fmt::format("{}{}", Digest12(show.weights_digest),
                     show.type.empty() ? "" : fmt::format(" ({})", show.type));
}

std::string TextLine(const char* what, const std::string& text) {
  constexpr size_t kShown = 60;
  if (text.empty()) return "";
  return fmt::format("# {}: {} bytes: {}\n", what, text.size(), SafeText(text, kShown));
}

}  // namespace

Json TunedParameters(const Applied& applied) {
  const RuntimeSettings& settings = applied.settings;
  // As in a Modelfile: num_batch is the physical batch.
  Json parameters = {{"num_ctx", settings.context},
                     {"num_batch", std::min(settings.ubatch, settings.context)},
                     {"temperature", applied.sampling.temperature},
                     {"top_p", applied.sampling.top_p}};
  if (!settings.use_gpu) {
    parameters["num_gpu"] = 0;
  } else if (settings.gpu_layers) {
    parameters["num_gpu"] = *settings.gpu_layers;
  }
  if (settings.threads) parameters["num_thread"] = *settings.threads;
  if (settings.load_mode == LoadMode::kRead) parameters["use_mmap"] = false;
  return parameters;
}

bool HoldsTuning(const OllamaShow& show, const Applied& applied) {
  Json tuned = TunedParameters(applied);
  if (!applied.sampling.chosen) {
    tuned.erase("temperature");
    tuned.erase("top_p");
  }
  OpenWhatTheOriginalFixed(show.parameters, tuned);
  for (const auto& [name, value] : tuned.items())
    if (!show.parameters.contains(name) || !SameValue(show.parameters[name], value)) return false;
  return true;
}

OllamaCreate MakeRecipe(const Applied& applied, const RecipeParts& parts) {
  OllamaCreate create;
  create.name = parts.name;
  create.parameters = TunedParameters(applied);
  if (!parts.original) {
    create.file_digests = {parts.weights_digest};
    if (!parts.projector_digest.empty()) create.file_digests.push_back(parts.projector_digest);
    return create;
  }
  const OllamaShow& original = *parts.original;
  KeepOwnSampling(applied, original.parameters, create.parameters);
  OpenWhatTheOriginalFixed(original.parameters, create.parameters);
  std::vector<std::string> projectors;
  if (!parts.projector_digest.empty()) projectors.push_back(parts.projector_digest);
  const bool same_files =
      original.weights_digest == parts.weights_digest && original.projector_digests == projectors;
  if (same_files) {
    create.from = parts.original_name;
    return create;
  }
  create.file_digests = {parts.weights_digest};
  create.file_digests.insert(create.file_digests.end(), projectors.begin(), projectors.end());
  for (const auto& [name, value] : original.parameters.items())
    if (!create.parameters.contains(name)) create.parameters[name] = value;
  create.chat_template = original.chat_template;
  create.system = original.system;
  create.license = original.license;
  create.renderer = original.renderer;
  create.parser = original.parser;
  create.needs_version = original.needs_version;
  create.messages = original.messages;
  return create;
}

OllamaShow Foretell(const OllamaCreate& create, const RecipeParts& parts) {
  OllamaShow show;
  if (!create.from.empty()) {
    show = parts.original.value_or(OllamaShow{});
  } else {
    show.chat_template = create.chat_template;
    show.system = create.system;
    show.license = create.license;
    show.renderer = create.renderer;
    show.parser = create.parser;
    show.needs_version = create.needs_version;
    show.messages = create.messages;
    if (parts.original) show.family = parts.original->family;
  }
  show.weights_digest = parts.weights_digest;
  show.projector_digests.clear();
  if (!parts.projector_digest.empty()) show.projector_digests = {parts.projector_digest};
  for (const auto& [name, value] : create.parameters.items()) show.parameters[name] = value;
  return show;
}

std::string DescribeShow(const OllamaShow& show) {
  std::string text = fmt::format("FROM {}\n", show.weights_digest);
  for (const std::string& digest : show.projector_digests) text += fmt::format("FROM {}\n", digest);
  for (const auto& [name, value] : show.parameters.items()) {
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& one : list)
      text += fmt::format("PARAMETER {} {}\n", SafeText(name), SafeText(ParameterText(one)));
  }
  text += TextLine("template", show.chat_template) + TextLine("system", show.system) +
          TextLine("license", show.license);
  if (!show.messages.empty()) text += fmt::format("# messages: {}\n", show.messages.size());
  return text;
}

std::vector<std::string> ChangesBetween(const std::optional<OllamaShow>& before,
                                        const OllamaShow& after) {
  std::vector<std::string> lines;
  const OllamaShow none;
  const OllamaShow& old = before ? *before : none;
  if (old.weights_digest != after.weights_digest) {
    lines.push_back(before ? fmt::format("weights {} (was {})", Weights(after), Weights(old))
                           : fmt::format("weights {}", Weights(after)));
  }
  if (old.projector_digests != after.projector_digests) {
    lines.push_back(after.projector_digests.empty()
                        ? "without the projector"
                        : fmt::format("projector {}", Digest12(after.projector_digests[0])));
  }
  for (const auto& [name, value] : after.parameters.items()) {
    const bool had = old.parameters.contains(name);
    if (had && SameValue(old.parameters[name], value)) continue;
    lines.push_back(
        had ? fmt::format("{} = {} (was {})", name, ParameterText(value),
                          ParameterText(old.parameters[name]))
            : fmt::format("{} = {}{}", name, ParameterText(value), before ? " (new)" : ""));
  }
  for (const auto& [name, value] : old.parameters.items())
    if (!after.parameters.contains(name))
      lines.push_back(fmt::format("without {} (was {})", name, ParameterText(value)));
  const auto text = [&](const char* what, const std::string& was, const std::string& is) {
    if (was == is || (before && is.empty() && was.empty())) return;
    lines.push_back(is.empty() ? fmt::format("without {}", what)
                               : fmt::format("{}, {} bytes", what, is.size()));
  };
  text("template", old.chat_template, after.chat_template);
  text("system prompt", old.system, after.system);
  text("licence", old.license, after.license);
  const auto word = [&](const char* what, const std::string& was, const std::string& is) {
    if (was != is) lines.push_back(fmt::format("{} {}", what, is.empty() ? "none" : SafeText(is)));
  };
  word("renderer", old.renderer, after.renderer);
  word("parser", old.parser, after.parser);
  if (old.has_adapter != after.has_adapter)
    lines.emplace_back(after.has_adapter ? "with an adapter" : "without the adapter");
  if (old.messages != after.messages)
    lines.push_back(
        fmt::format("messages: {} (were {})", after.messages.size(), old.messages.size()));
  return lines;
}

bool SameParameters(const Json& a, const Json& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, value] : a.items())
    if (!b.contains(name) || !SameValue(value, b[name])) return false;
  return true;
}

bool SameModel(const OllamaShow& a, const OllamaShow& b) {
  if (a.weights_digest != b.weights_digest || a.projector_digests != b.projector_digests ||
      a.has_adapter != b.has_adapter || a.renderer != b.renderer || a.parser != b.parser ||
      a.system != b.system || a.license != b.license || a.messages != b.messages) {
    return false;
  }
  // Without a template of its own, a model gets Ollama's reading of the file's.
  if (!a.chat_template.empty() && !b.chat_template.empty() && a.chat_template != b.chat_template)
    return false;
  return SameParameters(a.parameters, b.parameters);
}

}  // namespace trimma
