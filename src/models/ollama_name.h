// Names of models as Ollama writes them: [host/][namespace/]model[:tag].
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace trimma {

struct OllamaName {
  std::string host = "registry.ollama.ai";
  std::string space = "library";  // "namespace" to Ollama, a keyword to C++
  std::string model;
  std::string tag = "latest";
  bool operator==(const OllamaName&) const = default;

  // Without the defaults, but always with a tag: "gemma3:4b", "me/gemma3:latest",
  // "hf.co/user/repo:Q4_K_M".
  std::string Short() const;
  // All four parts with '/' between them: the manifest's place below manifests/.
  std::string Path() const;
};

// Checks every part's length and characters, so that no part can be "..", empty or hold a
// separator. kUsage otherwise.
Result<OllamaName> ParseOllamaName(std::string_view text);

// A name as `ollama pull` takes it: before a host, namespace and model "http://" may stand for a
// registry without TLS ("https://" means nothing more).
struct OllamaReference {
  OllamaName name;
  bool plain = false;  // "http://"
};
Result<OllamaReference> ParseOllamaReference(std::string_view text);

// The inverse of Path(), with the same checks.
Result<OllamaName> ParseOllamaPath(std::string_view path);

// Ollama takes "Gemma3:4B" for "gemma3:4b".
bool SameIgnoringCase(const OllamaName& a, const OllamaName& b);

}  // namespace trimma
