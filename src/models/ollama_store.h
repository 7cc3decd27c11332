// Ollama's store on disk, read only: manifests name the blobs that hold the weights.
//   <root>/manifests/<host>/<namespace>/<model>/<tag>   JSON, at most 4 MiB
//   <root>/blobs/sha256-<64 hex digits>
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/models.h"
#include "models/ollama_name.h"
#include "models/walk.h"

namespace trimma {

// The layers of a manifest that matter here, as digests "sha256:<64 hex digits>".
// Longer ones are none.
inline constexpr uint64_t kMostManifestBytes = uint64_t{4} << 20;

struct OllamaManifest {
  std::string model;  // the last one, as Ollama's loader takes it
  std::optional<std::string> projector;
};

// kInvalid for what is no manifest, has no model layer or a digest of another form (which would
// become a path).
Result<OllamaManifest> ParseOllamaManifest(std::string_view text);

// Every name that has a manifest, whatever is in it.
std::vector<OllamaName> OllamaNames(const std::string& root, Walk& walk);

// The files behind a name of OllamaNames. kInvalid for a broken manifest, kNotFound for a
// missing blob.
Result<LocalModel> OpenOllamaModel(const std::string& root, const OllamaName& name);

}  // namespace trimma
