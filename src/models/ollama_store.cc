#include "models/ollama_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/child.h"
#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr std::string_view kDigestStart = "sha256:";
constexpr size_t kHexDigits = 64;

bool IsDigest(std::string_view text) {
  if (!text.starts_with(kDigestStart)) return false;
  text.remove_prefix(kDigestStart.size());
  return text.size() == kHexDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// "" where the field is absent or no text.
std::string TextField(const Json& object, const char* key) {
  const auto field = object.find(key);
  return field != object.end() && field->is_string() ? field->get<std::string>() : "";
}

// The blob's file, or "" if there is none inside the store.
std::string BlobPath(const std::string& root, const std::string& digest) {
  const std::string hex = digest.substr(kDigestStart.size());
  for (const char* start : {"sha256-", "sha256:"}) {  // the latter in very old stores
    const std::string path = fmt::format("{}/blobs/{}{}", root, start, hex);
    if (IsFileInside(path, root)) return path;
  }
  return "";
}

}  // namespace

Result<OllamaManifest> ParseOllamaManifest(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Error{Code::kInvalid, "the manifest is no JSON object", ""};
  const auto layers = json.find("layers");
  if (layers == json.end() || !layers->is_array()) {
    return Error{Code::kInvalid, "the manifest has no layers", ""};
  }
  OllamaManifest manifest;
  for (const Json& layer : *layers) {
    if (!layer.is_object()) return Error{Code::kInvalid, "a layer is no JSON object", ""};
    const std::string type = TextField(layer, "mediaType");
    const bool model = type == "application/vnd.ollama.image.model";
    const bool projector = type == "application/vnd.ollama.image.projector";
    if (!model && !projector) continue;
    const std::string digest = TextField(layer, "digest");
    if (!IsDigest(digest)) {
      return Error{Code::kInvalid, fmt::format("\"{}\" is no sha256 digest", SafeText(digest, 80)),
                   ""};
    }
    if (model) manifest.model = digest;
    if (projector) manifest.projector = digest;
  }
  if (manifest.model.empty()) {
    return Error{Code::kInvalid, "the manifest has no GGUF layer",
                 "trimma reads GGUF models, not cloud or safetensors ones"};
  }
  return manifest;
}

std::vector<OllamaName> OllamaNames(const std::string& root, Walk& walk) {
  constexpr int kDepth = 4;
  std::vector<OllamaName> names;
  for (const std::string& path : walk.Files(root + "/manifests", kDepth, root)) {
    Result<OllamaName> name = ParseOllamaPath(path);
    if (name.ok()) {
      names.push_back(*std::move(name));
    } else {
      walk.notes.push_back(
          fmt::format("skipped {}/manifests/{}: not a place for a manifest", root, path));
    }
  }
  return names;
}

Result<LocalModel> OpenOllamaModel(const std::string& root, const OllamaName& name) {
  LocalModel model;
  model.name = "ollama:" + name.Short();
  model.source = ModelSource::kOllama;
  const std::string again = fmt::format("fetch it again: ollama pull {}", name.Short());
  TRY(const std::string text,
      ReadSmallFile(fmt::format("{}/manifests/{}", root, name.Path()), kMostManifestBytes));
  Result<OllamaManifest> manifest = ParseOllamaManifest(text);
  if (!manifest.ok()) {
    Error error = manifest.error();
    error.what = fmt::format("{}: {}", model.name, error.what);
    if (error.hint.empty()) error.hint = again;
    return error;
  }
  model.path = BlobPath(root, manifest->model);
  if (model.path.empty()) {
    return Error{
        Code::kNotFound,
        fmt::format("{}: its file {} is not in {}/blobs", model.name, manifest->model, root),
        again};
  }
  if (manifest->projector) model.projector_path = BlobPath(root, *manifest->projector);
  return model;
}

}  // namespace trimma
