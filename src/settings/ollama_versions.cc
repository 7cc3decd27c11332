#include "settings/ollama_versions.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace trimma {

const std::vector<OllamaTraitRow>& OllamaTraits() {
  // The oldest version that was read is 0.17.4, the newest 0.33.0-rc2.
  static const std::vector<OllamaTraitRow> rows = {
      {OllamaTrait::kRunsLlamaServer, "runs llama-server", "0.30.0", "", "",
       "0.17.4: llm/server.go starts its own runner; 0.33.0-rc2: llm/llama_server.go"},
      {OllamaTrait::kKvTypesApart, "KV types apart", "0.30.0", "", "",
       "0.17.4: fs/ggml/ggml.go SupportsKVCacheType takes f16, q8_0, q4_0; 0.33.0-rc2: "
       "llm/llama_server.go leaves LLAMA_ARG_CACHE_TYPE_K and _V to llama-server"},
      {OllamaTrait::kKvNeedsFlashSet, "quantised KV needs flash attention set", "0.17.4", "0.30.0",
       "0.17.4", "0.17.4: llm/server.go, \"must be enabled to use a quantized\""},
      {OllamaTrait::kReadsFitTarget, "reads LLAMA_ARG_FIT_TARGET", "0.30.0", "", "",
       "0.33.0-rc2: llm/llama_server.go keeps a value that the user has set; before, no "
       "llama-server reads it"},
  };
  return rows;
}

std::optional<OllamaVersion> ParseOllamaVersion(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('v')) text.remove_prefix(1);
  const size_t end_of_numbers = text.find_first_of("-+ ");
  OllamaVersion version;
  version.candidate = end_of_numbers != std::string_view::npos && text[end_of_numbers] == '-';
  const std::vector<std::string> parts = Split(text.substr(0, end_of_numbers), '.');
  if (parts.empty() || parts.size() > version.numbers.size()) return std::nullopt;
  for (size_t i = 0; i < parts.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    const auto read = std::from_chars(parts[i].data(), end, version.numbers[i]);
    if (read.ec != std::errc() || read.ptr != end || version.numbers[i] < 0) return std::nullopt;
  }
  if (version.numbers == OllamaVersion{}.numbers) return std::nullopt;
  return version;
}

std::strong_ordering operator<=>(const OllamaVersion& a, const OllamaVersion& b) {
  if (const auto order = a.numbers <=> b.numbers; order != 0) return order;
  return b.candidate <=> a.candidate;
}

std::optional<bool> HasTrait(OllamaTrait trait, std::string_view text) {
  const auto version = ParseOllamaVersion(text);
  return version ? HasTrait(trait, *version) : std::nullopt;
}

std::optional<bool> HasTrait(OllamaTrait trait, const OllamaVersion& asked) {
  OllamaVersion version = asked;
  version.candidate = false;
  const auto& rows = OllamaTraits();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const OllamaTraitRow& r) { return r.trait == trait; });
  if (row == rows.end()) return std::nullopt;
  const auto known = ParseOllamaVersion(row->known_from);
  if (known && version < *known) return std::nullopt;
  const auto from = ParseOllamaVersion(row->from);
  const auto until = ParseOllamaVersion(row->until);
  return from && version >= *from && !(until && version >= *until);
}

}  // namespace trimma
