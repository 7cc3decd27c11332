// A running Ollama, if there is one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trimma {

struct OllamaInfo {
  std::string version;  // "0.12.3"
  std::string host;     // "127.0.0.1:11434", as it was asked
};

// Asks the server at OLLAMA_HOST, or at 127.0.0.1:11434. Whatever answers there is not trusted:
// at most 64 KiB are read within `timeout_s`. nullopt without a sound answer.
std::optional<OllamaInfo> FindOllama(double timeout_s = 0.3);

struct OllamaAddress {
  std::string host = "127.0.0.1";
  int port = 11434;
  bool operator==(const OllamaAddress&) const = default;
  std::string Text() const;  // "127.0.0.1:11434", "[::1]:11434"
};

// OLLAMA_HOST as Ollama itself reads it: "", "host", "host:port", ":port", "[::1]:port", each also
// after "http://" (whose port is 80 unless given) and before a path. "Every address" (0.0.0.0, ::)
// becomes this machine. nullopt for https, which trimma does not speak.
std::optional<OllamaAddress> ParseOllamaHost(std::string_view text);

}  // namespace trimma
