// A model that isn't here: its header, read through ranges, and what else a registry or repository
// says of it. Weights are never fetched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/reader.h"
#include "models/download.h"
#include "models/hub.h"
#include "models/ollama_name.h"

namespace trimma {

struct RemoteModel {
  std::string name;   // "ollama:gemma3:4b", "hf:user/repo:Q4_K_M"
  std::string where;  // "registry.ollama.ai"
  GgufFile file;
  std::optional<GgufFile> projector;
  uint64_t fetched_bytes = 0;
};

// The header of a file, in pieces that grow until it is whole. kNetwork where the server ignores
// ranges, or says another length than `source`; kInvalid for a header that is none.
Result<GgufFile> ReadRemoteHeader(const BlobSource& source, const std::string& name,
                                  const DownloadOptions& options, uint64_t& fetched_bytes);

Result<RemoteModel> OpenInRegistry(const OllamaName& name, const DownloadOptions& options);
Result<RemoteModel> OpenInHub(const std::string& text, const HubOptions& hub,
                              const DownloadOptions& options);

}  // namespace trimma
