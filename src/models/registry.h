// A registry that speaks Ollama's protocol (registry.ollama.ai, hf.co, a Docker registry).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/download.h"
#include "models/ollama_name.h"
#include "net/http.h"

namespace trimma {

struct RegistryLayer {
  std::string media_type;  // "application/vnd.ollama.image.model"
  std::string sha256;      // 64 digits
  uint64_t bytes = 0;
};

struct RegistryManifest {
  std::string text;  // as it came: what the store keeps
  RegistryLayer config;
  std::vector<RegistryLayer> layers;

  const RegistryLayer* Find(std::string_view kind) const;  // "model": the last, as Ollama takes it
  std::vector<RegistryLayer> Blobs() const;                // layers and config, each digest once
  uint64_t bytes() const;                                  // of all of them
};

// Strict: what it accepts can become paths and reservations. kInvalid for digests of another form,
// absent or negative sizes, more than 64 layers, or a sum that no disk holds.
Result<RegistryManifest> ParseRegistryManifest(std::string text);

// What a config blob says of the model.
struct RegistryConfig {
  std::string type;        // "Q4_K_M"
  std::string parameters;  // "4.3B"
};
Result<RegistryConfig> ParseRegistryConfig(std::string_view text);

// kNetwork for a name that begins with http://, unless `insecure`.
Status CheckPlainName(bool plain, bool insecure);

class Registry {
 public:
  // `insecure`: plain http to other machines than this one, where they speak no TLS. `plain` names
  // ask for it, and nothing else: without `insecure` every call is kNetwork, as Ollama refuses
  // them.
  Registry(OllamaName name, const DownloadOptions& options);

  // kNotFound where there is no such tag; kPermission where signing in is needed.
  Result<RegistryManifest> Manifest(const std::string& tag);
  Result<RegistryConfig> Config(const RegistryManifest& manifest);
  // The tags, where the registry lists them; kNotFound where it doesn't.
  Result<std::vector<std::string>> Tags();

  std::string BlobUrl(const std::string& sha256) const;
  const std::string& token() const { return token_; }  // of the last answer that asked for one
  // Another token, from where the last one came. kPermission where none was asked for.
  Status RenewToken();
  const OllamaName& name() const { return name_; }
  bool fell_back_to_plain() const { return fell_back_; }

 private:
  // `path`: below the model's.
  Result<HttpAnswer> Get(const std::string& path, const std::string& accept, uint64_t most_bytes);
  Status FetchToken(const HttpAnswer& refusal);
  std::string Base() const;

  OllamaName name_;
  bool insecure_;
  bool asks_for_plain_;
  HttpLimits limits_;
  HttpClient client_;
  std::string token_;
  std::optional<HttpAnswer> refusal_;  // that said where to get it
  bool plain_;                         // http
  bool fell_back_ = false;             // since https was tried in vain
};

}  // namespace trimma
