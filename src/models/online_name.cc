#include "models/online_name.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "models/gguf_name.h"
#include "models/huggingface_cache.h"

namespace trimma {
namespace {

constexpr std::string_view kOllama = "ollama:";
constexpr std::string_view kHub = "hf:";
constexpr std::string_view kLmStudio = "lmstudio:";

Result<OnlineName> InRegistry(const std::string& text) {
  TRY(OllamaReference reference, ParseOllamaReference(text));
  OnlineName name;
  name.ollama = std::move(reference.name);
  name.plain = reference.plain;
  return name;
}

}  // namespace

bool MayAskNetwork(const std::string& text) {
  return text.starts_with(kOllama) || text.starts_with(kHub);
}

Result<OnlineName> ParseOnlineName(const std::string& text) {
  OnlineName name;
  if (text.starts_with(kHub)) {
    name.source = ModelSource::kHuggingFace;
    name.hub = text.substr(kHub.size());
    if (IsHuggingFaceRepo(name.hub.substr(0, name.hub.find(':')))) return name;
    return Error{Code::kUsage,
                 fmt::format("\"{}\" is no repository of Hugging Face", SafeText(name.hub, 100)),
                 "write hf:user/repo or hf:user/repo:QUANT"};
  }
  if (text.starts_with(kOllama)) {
    return InRegistry(text.substr(kOllama.size()));
  }
  if (text.starts_with(kLmStudio)) {
    return Error{Code::kUsage, "LM Studio has no registry of its own",
                 "its models come from Hugging Face: write hf:user/repo"};
  }
  // Three parts begin with a registry's host.
  const auto slashes = std::count(text.begin(), text.end(), '/');
  if (slashes == 0 || slashes == 2 || text.find("://") != std::string::npos)
    return InRegistry(text);
  return Error{Code::kUsage,
               fmt::format("\"{}\" may be of Ollama or of Hugging Face", SafeText(text, 100)),
               fmt::format("write ollama:{0} or hf:{0}", SafeText(text, 100))};
}

std::string FamilyOf(const std::string& name) {
  const std::string lower = ToLower(name);
  if (lower.starts_with(kHub)) return lower.substr(0, lower.find(':', kHub.size()));
  if (lower.starts_with(kLmStudio))
    return std::string(IsGgufName(lower) ? lower.substr(0, lower.rfind('/')) : lower);
  const size_t from = lower.starts_with(kOllama) ? kOllama.size() : 0;
  const size_t colon = lower.rfind(':');
  const size_t slash = lower.rfind('/');
  const bool has_tag =
      colon != std::string::npos && colon >= from && (slash == std::string::npos || colon > slash);
  return has_tag ? lower.substr(0, colon) : lower;
}

bool IsOfFamily(const std::string& name, const std::string& wanted) {
  const std::string family = FamilyOf(name);
  const std::string asked = FamilyOf(wanted);
  if (family == asked) return true;
  const std::string bare = family.substr(family.find(':') + 1);
  return bare == asked || FileOf(bare) == asked;
}

}  // namespace trimma
