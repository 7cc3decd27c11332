// From a name to a file: local models and where they live.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

enum class ModelSource { kPath, kOllama, kHuggingFace, kLmStudio };
const char* NameOf(ModelSource source);  // "path", "ollama", "huggingface", "lmstudio"

struct LocalModel {
  std::string
      name;  // "ollama:gemma3:4b", "hf:user/repo:Q4_K_M", "lmstudio:pub/model/file.gguf", a path
  ModelSource source = ModelSource::kPath;
  std::string path;            // of the GGUF (first shard of a split one)
  std::string projector_path;  // "" if none
};

// Where to look; tests give other folders. From the environment (OLLAMA_MODELS, HF_HUB_CACHE,
// HF_HOME, XDG_CACHE_HOME, LLAMA_CACHE, ...) as formats.md 3.5 to 3.7 lists them.
struct ModelRoots {
  std::vector<std::string> ollama;
  std::vector<std::string> huggingface;
  std::vector<std::string> lmstudio;
  // Where a new model goes: this user's own folders. "" where no home is known.
  std::string ollama_pull = {};
  std::string huggingface_pull = {};
};
ModelRoots DefaultModelRoots();

// Every local model, sorted by name. Unreadable folders and broken entries are reported in
// `notes`, one sentence each, and skipped.
struct ModelList {
  std::vector<LocalModel> items;
  std::vector<std::string> notes;
};
ModelList ListModels(const ModelRoots& roots);

// "ollama:NAME", "hf:user/repo[:QUANT]", "lmstudio:...", or bare: path, then Ollama, Hugging Face,
// LM Studio. kNotFound (with the nearest local names) where nothing of that name is here, or kUsage
// listing the candidates when a bare name fits several models; kInvalid for a model that is here
// but damaged, kPermission where the named source's store can't be looked into.
Result<LocalModel> ResolveModel(const std::string& name, const ModelRoots& roots);

}  // namespace trimma
