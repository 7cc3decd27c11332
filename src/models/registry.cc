#include "models/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "models/download.h"
#include "models/ollama_store.h"
#include "net/json.h"
#include "net/sha256.h"

namespace trimma {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMostConfigBytes = uint64_t{1} << 20;
constexpr uint64_t kMostModelBytes = uint64_t{1} << 44;  // 16 TiB
constexpr size_t kMostLayers = 64;
constexpr size_t kMostTags = 10'000;
constexpr double kMostSeconds = 60;  // for a list or a manifest
constexpr const char* kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kKindStart = "application/vnd.ollama.image.";

Error Unsound(const std::string& why) {
  return {Code::kInvalid, "the registry's manifest " + why,
          "nothing was fetched; the registry is not one of Ollama's kind, or not to be trusted"};
}

Result<RegistryLayer> ParseLayer(const Json& json) {
  constexpr std::string_view kStart = "sha256:";
  RegistryLayer layer;
  layer.media_type = TextOf(json, "mediaType").value_or("");
  const std::string digest = TextOf(json, "digest").value_or("");
  if (!digest.starts_with(kStart) || !IsSha256Hex(digest.substr(kStart.size())))
    return Unsound(fmt::format("names \"{}\", which is no SHA-256 digest", SafeText(digest, 80)));
  layer.sha256 = digest.substr(kStart.size());
  const auto bytes = CountOf(json, "size");
  if (!bytes || *bytes > kMostModelBytes)
    return Unsound(fmt::format("gives no sound size for {}", digest.substr(0, 19)));
  layer.bytes = *bytes;
  return layer;
}

bool IsTag(const std::string& text) {
  return ParseOllamaName("model:" + text).ok() && text.find('/') == std::string::npos;
}

}  // namespace

const RegistryLayer* RegistryManifest::Find(std::string_view kind) const {
  const std::string type = std::string(kKindStart) + std::string(kind);
  const auto at = std::find_if(layers.rbegin(), layers.rend(), [&](const RegistryLayer& layer) {
    return layer.media_type == type;
  });
  return at == layers.rend() ? nullptr : &*at;
}

std::vector<RegistryLayer> RegistryManifest::Blobs() const {
  std::vector<RegistryLayer> blobs;
  const auto add = [&](const RegistryLayer& layer) {
    const bool known = std::any_of(blobs.begin(), blobs.end(), [&](const RegistryLayer& blob) {
      return blob.sha256 == layer.sha256;
    });
    if (!known) blobs.push_back(layer);
  };
  for (const RegistryLayer& layer : layers) add(layer);
  add(config);
  return blobs;
}

uint64_t RegistryManifest::bytes() const {
  uint64_t sum = 0;
  for (const RegistryLayer& blob : Blobs()) sum += blob.bytes;
  return sum;
}

Result<RegistryManifest> ParseRegistryManifest(std::string text) {
  if (text.size() > kMostManifestBytes) return Unsound("is longer than 4 MiB");
  TRY(const Json json, ParseForeignJson(text, "the registry's manifest"));
  if (!json.is_object()) return Unsound("is no JSON object");
  const auto layers = json.find("layers");
  const auto config = json.find("config");
  if (layers == json.end() || !layers->is_array() || config == json.end())
    return Unsound("has no layers or no config");
  if (layers->size() > kMostLayers)
    return Unsound(fmt::format("has {} layers, more than any GGUF model", layers->size()));
  RegistryManifest manifest;
  TRY(manifest.config, ParseLayer(*config));
  uint64_t sum = manifest.config.bytes;
  for (const Json& item : *layers) {
    TRY(RegistryLayer layer, ParseLayer(item));
    for (const RegistryLayer& other : manifest.layers) {
      if (other.sha256 == layer.sha256 && other.bytes != layer.bytes)
        return Unsound("gives two sizes for one digest");
    }
    sum += layer.bytes;  // at most 65 times 2^44
    manifest.layers.push_back(std::move(layer));
  }
  if (sum > kMostModelBytes) return Unsound("adds up to more than any model");
  if (manifest.Find("model") == nullptr) {
    return Error{Code::kInvalid, "the registry's manifest has no GGUF layer",
                 "trimma fetches GGUF models, not cloud or safetensors ones"};
  }
  manifest.text = std::move(text);
  return manifest;
}

Result<RegistryConfig> ParseRegistryConfig(std::string_view text) {
  TRY(const Json json, ParseForeignJson(text, "the model's config"));
  return RegistryConfig{SafeText(TextOf(json, "file_type").value_or(""), 32),
                        SafeText(TextOf(json, "model_type").value_or(""), 32)};
}

Status CheckPlainName(bool plain, bool insecure) {
  if (!plain || insecure) return {};
  return Error{Code::kNetwork, "http:// in a model's name asks for it without encryption",
               "leave http:// out, or pass --insecure if you trust the network between"};
}

Registry::Registry(OllamaName name, const DownloadOptions& options)
    : name_(std::move(name)),
      insecure_(options.insecure),
      asks_for_plain_(options.plain),
      limits_(options.limits),
      client_({options.insecure}),
      plain_(options.plain || IsLoopback(name_.host.substr(0, name_.host.rfind(':')))) {
  limits_.total_seconds = kMostSeconds;
}

std::string Registry::Base() const {
  return fmt::format("{}://{}/v2/{}/{}", plain_ ? "http" : "https", name_.host, name_.space,
                     name_.model);
}

std::string Registry::BlobUrl(const std::string& sha256) const {
  return fmt::format("{}/blobs/sha256:{}", Base(), sha256);
}

// A registry that wants a token says where to get one; its word counts only for its own host, or
// any server could send the question (and a token) elsewhere.
Status Registry::FetchToken(const HttpAnswer& refusal) {
  const auto challenge = ParseBearerChallenge(refusal.Header("www-authenticate"));
  const std::string host = SafeText(refusal.url.host, 100);
  const Error closed = {Code::kPermission,
                        fmt::format("{} wants somebody signed in for {}", host, name_.Short()),
                        "ollama pull can sign in; trimma fetches what is public"};
  if (!challenge) return closed;
  Result<Url> realm = ParseUrl(challenge->realm);
  if (!realm.ok() || realm->host != refusal.url.host) {
    return Error{Code::kNetwork,
                 fmt::format("{} sends to \"{}\" for a token, which is another host", host,
                             SafeText(challenge->realm, 100)),
                 "nothing was sent there"};
  }
  const auto query = [](const std::string& text) {
    std::string escaped = EscapePath(text);
    for (size_t at = 0; (at = escaped.find('/', at)) != std::string::npos;)
      escaped.replace(at, 1, "%2F");
    return escaped;
  };
  HttpRequest request;
  request.url = fmt::format("{}{}service={}&scope={}", realm->Text(),
                            realm->path.find('?') == std::string::npos ? "?" : "&",
                            query(challenge->service), query(challenge->scope));
  request.limits = limits_;
  request.limits.body_bytes = kMostConfigBytes;
  TRY(const HttpAnswer answer, client_.Fetch(request));
  if (answer.status != 200) return closed;
  TRY(const Json json, ParseForeignJson(answer.body, "the registry's token"));
  std::string token = TextOf(json, "token").value_or(TextOf(json, "access_token").value_or(""));
  if (!IsToken(token)) {
    return Error{Code::kInvalid, fmt::format("{} gave a token that is none", host),
                 "the registry is not to be trusted"};
  }
  token_ = std::move(token);
  refusal_ = refusal;
  return {};
}

Status Registry::RenewToken() {
  if (refusal_) return FetchToken(HttpAnswer(*refusal_));
  return Error{Code::kPermission,
               fmt::format("{} wants somebody signed in for {}", name_.host, name_.Short()), ""};
}

Result<HttpAnswer> Registry::Get(const std::string& path, const std::string& accept,
                                 uint64_t most_bytes) {
  TRY_STATUS(CheckPlainName(asks_for_plain_, insecure_));
  HttpRequest request;
  request.url = Base() + path;
  request.accept = accept;
  request.token = token_;
  request.limits = limits_;
  request.limits.body_bytes = most_bytes;
  Result<HttpAnswer> first = client_.Fetch(request);
  if (!first.ok() && insecure_ && !plain_ && client_.no_tls()) {
    plain_ = fell_back_ = true;
    request.url = Base() + path;
    first = client_.Fetch(request);
  }
  TRY(HttpAnswer answer, std::move(first));
  if (answer.status != 401) return answer;
  TRY_STATUS(FetchToken(answer));
  request.token = token_;
  return client_.Fetch(request);
}

Result<RegistryManifest> Registry::Manifest(const std::string& tag) {
  TRY(HttpAnswer answer, Get("/manifests/" + tag, kManifestType, kMostManifestBytes));
  OllamaName name = name_;
  name.tag = tag;
  if (answer.status != 200) return StatusError(answer, name.Short());
  return ParseRegistryManifest(std::move(answer.body));
}

Result<RegistryConfig> Registry::Config(const RegistryManifest& manifest) {
  if (manifest.config.bytes > kMostConfigBytes) return Unsound("has a config beyond all measure");
  TRY(const HttpAnswer answer,
      Get("/blobs/sha256:" + manifest.config.sha256, "*/*", manifest.config.bytes));
  if (answer.status != 200) return StatusError(answer, "the model's config");
  if (Sha256Hex(answer.body) != manifest.config.sha256)
    return Error{Code::kInvalid, "the model's config has another SHA-256 than announced", ""};
  return ParseRegistryConfig(answer.body);
}

Result<std::vector<std::string>> Registry::Tags() {
  TRY(const HttpAnswer answer, Get("/tags/list", "application/json", kMostManifestBytes));
  if (answer.status != 200) return StatusError(answer, "a list of tags for " + name_.model);
  TRY(const Json json, ParseForeignJson(answer.body, "the registry's list of tags"));
  const auto list = json.is_object() ? json.find("tags") : json.end();
  if (!json.is_object() || list == json.end() || !list->is_array())
    return Error{Code::kInvalid, "the registry's list of tags is none", ""};
  std::vector<std::string> tags;
  for (const Json& item : *list) {
    if (item.is_string() && IsTag(item.get<std::string>())) tags.push_back(item);
    if (tags.size() == kMostTags) break;
  }
  std::sort(tags.begin(), tags.end());
  return tags;
}

}  // namespace trimma
