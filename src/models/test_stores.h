// For tests: small stores as Ollama, Hugging Face's tools and LM Studio make them.
#pragma once

#include <fmt/format.h>

#include <string>

#include "hardware/temp_tree.h"
#include "models/models.h"

namespace trimma {

inline ModelRoots RootsIn(const TempTree& tree) {
  return {{tree / "ollama"}, {tree / "hf"}, {tree / "lms"}};
}

// A digest whose 64 digits are all `digit`.
inline std::string Digest(char digit) { return "sha256:" + std::string(64, digit); }

inline std::string Layer(const std::string& kind, const std::string& digest) {
  return fmt::format(R"({{"mediaType":"application/vnd.ollama.image.{}","digest":"{}","size":4}})",
                     kind, digest);
}

inline std::string Manifest(const std::string& layers) {
  return fmt::format(R"({{"schemaVersion":2,"layers":[{}]}})", layers);
}

inline void WriteBlob(const TempTree& tree, char digit) {
  tree.Write("ollama/blobs/sha256-" + std::string(64, digit), "GGUF");
}

// `path`: "registry.ollama.ai/library/gemma3/4b".
inline void WriteManifest(const TempTree& tree, const std::string& path, const std::string& text) {
  tree.Write("ollama/manifests/" + path, text);
}

// `library/<name>/<tag>` with a model in blob `digit`.
inline void WriteOllamaModel(const TempTree& tree, const std::string& name, const std::string& tag,
                             char digit) {
  WriteBlob(tree, digit);
  WriteManifest(tree, fmt::format("registry.ollama.ai/library/{}/{}", name, tag),
                Manifest(Layer("model", Digest(digit))));
}

inline std::string Commit(char digit) { return std::string(40, digit); }

// A file of a snapshot: a link into blobs/, as Hugging Face's tools make it.
inline void WriteHuggingFaceFile(const TempTree& tree, const std::string& repo_folder, char commit,
                                 const std::string& file) {
  const std::string folder = "hf/models--" + repo_folder;
  const std::string blob = fmt::format("{:064x}", std::hash<std::string>()(file));
  tree.Write(folder + "/blobs/" + blob, "GGUF");
  std::string up = "../../";
  for (const char c : file) {
    if (c == '/') up += "../";
  }
  tree.Link(fmt::format("{}/snapshots/{}/{}", folder, Commit(commit), file), up + "blobs/" + blob);
}

inline void WriteLmStudioFile(const TempTree& tree, const std::string& path) {
  tree.Write("lms/" + path, "GGUF");
}

}  // namespace trimma
