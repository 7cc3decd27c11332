// What Ollama does with a setting, by its version: one table, each row with where it was read.
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimma {

enum class OllamaTrait {
  kRunsLlamaServer,  // a stock llama-server does the work, and reads LLAMA_ARG_* variables
  kKvTypesApart,     // K and V may have two types, and others than f16, q8_0, q4_0
  kKvNeedsFlashSet,  // a quantised KV cache is ignored unless OLLAMA_FLASH_ATTENTION=1
  kReadsFitTarget,   // LLAMA_ARG_FIT_TARGET: what stays free on a card
};

struct OllamaVersion {
  std::array<int, 3> numbers{};
  bool candidate = false;  // "-rc2": before the release of the same number
  bool operator==(const OllamaVersion&) const = default;
};
std::strong_ordering operator<=>(const OllamaVersion& a, const OllamaVersion& b);

// "0.17.4", "v0.33.0-rc2". nullopt for other texts, and for 0.0.0: a build of one's own that
// doesn't know its version.
std::optional<OllamaVersion> ParseOllamaVersion(std::string_view text);

struct OllamaTraitRow {
  OllamaTrait trait;
  const char* name;
  const char* from;   // it has the trait from this version on; "" if never yet
  const char* until;  // and no longer from this one; "" if it still has
  // Below this version nobody looked; "" where it is known for all.
  const char* known_from;
  const char* source;
};
const std::vector<OllamaTraitRow>& OllamaTraits();

// nullopt: the version is not known, or nobody looked at it. A candidate has what its release has.
std::optional<bool> HasTrait(OllamaTrait trait, const OllamaVersion& version);
std::optional<bool> HasTrait(OllamaTrait trait, std::string_view version);

}  // namespace trimma
