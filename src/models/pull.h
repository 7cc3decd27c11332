// A model from an Ollama registry or a Hugging Face repository, into the store of its owner.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/download.h"
#include "models/hub.h"
#include "models/models.h"
#include "models/ollama_name.h"

namespace trimma {

// How far a pull is; none of it counts twice.
struct PullProgress {
  std::string file;      // at hand
  uint64_t there = 0;    // bytes that were here before this run
  uint64_t fetched = 0;  // in this run
  uint64_t of = 0;       // all
};

struct PullOptions {
  DownloadOptions download;
  std::string root;       // of the store
  bool projector = true;  // Hugging Face: the model's projector too, where the repository has one
  std::function<void(const PullProgress&)> on_progress;
};

struct PulledFile {
  std::string what;  // "model", "projector", "template", ...; a file of the repository
  std::string path;  // in the store
  std::string sha256;
  uint64_t bytes = 0;
  bool was_there = false;
};

struct PullResult {
  LocalModel model;
  std::vector<PulledFile> files;
  uint64_t bytes = 0;          // of all files
  uint64_t fetched_bytes = 0;  // in this run
  uint64_t kept_bytes = 0;     // of an interrupted one
  std::vector<std::string> notes;
};

// Blobs first, then the manifest, its bytes unchanged: Ollama takes the model for its own.
Result<PullResult> PullFromRegistry(const OllamaName& name, const PullOptions& options);

// "user/repo[:QUANT]". Blobs, then the snapshot's links, then refs/main.
Result<PullResult> PullFromHub(const std::string& text, const HubOptions& hub,
                               const PullOptions& options);

// Fetches the files in order, with room for all of them checked before. Used by both.
struct PullItem {
  std::string what;
  BlobSource source;
  BlobPlace place;
};
Status FetchAll(const std::vector<PullItem>& items, const PullOptions& options, PullResult& result);

}  // namespace trimma
