#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "models/models.h"

namespace trimma {
namespace {

// A variable's value without the blanks and quotes that people put around paths; "" if unset.
std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  std::string_view text = Trim(value == nullptr ? "" : value);
  while (!text.empty() && (text.front() == '"' || text.front() == '\'')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == '"' || text.back() == '\'')) text.remove_suffix(1);
  return std::string(text);
}

void Add(const std::string& path, std::vector<std::string>& to) {
  if (!path.empty() && std::find(to.begin(), to.end(), path) == to.end()) to.push_back(path);
}

std::string Below(const std::string& folder, const char* rest) {
  return folder.empty() ? "" : folder + "/" + rest;
}

std::string HuggingFaceHub(const std::string& home) {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string path = Variable(name); !path.empty()) return path;
  }
  if (const std::string path = Variable("HF_HOME"); !path.empty()) return path + "/hub";
  const std::string cache = Variable("XDG_CACHE_HOME");
  return Below(cache.empty() ? Below(home, ".cache") : cache, "huggingface/hub");
}

}  // namespace

ModelRoots DefaultModelRoots() {
  const std::string home = HomeDirectory();
  ModelRoots roots;
  const std::string ollama = Variable("OLLAMA_MODELS");
  roots.ollama_pull = ollama.empty() ? Below(home, ".ollama/models") : ollama;
  Add(roots.ollama_pull, roots.ollama);
  // Where the system service keeps its own, whatever this user's variable says.
  Add("/usr/share/ollama/.ollama/models", roots.ollama);

  Add(Variable("LLAMA_CACHE"), roots.huggingface);  // llama.cpp alone looks there
  roots.huggingface_pull = HuggingFaceHub(home);
  Add(roots.huggingface_pull, roots.huggingface);

  if (!home.empty()) {
    // LM Studio notes here where the user moved its home to.
    const Result<std::string> pointer = ReadSmallFile(home + "/.lmstudio-home-pointer", 4096);
    if (pointer.ok() && Trim(*pointer).starts_with('/')) {
      Add(std::string(Trim(*pointer)) + "/models", roots.lmstudio);
    }
  }
  Add(Below(home, ".lmstudio/models"), roots.lmstudio);
  Add(Below(home, ".cache/lm-studio/models"), roots.lmstudio);
  return roots;
}

}  // namespace trimma
