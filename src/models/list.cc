#include <algorithm>
#include <set>

#include "models/huggingface_cache.h"
#include "models/lm_studio.h"
#include "models/models.h"
#include "models/ollama_store.h"
#include "models/walk.h"

namespace trimma {

const char* NameOf(ModelSource source) {
  switch (source) {
    case ModelSource::kPath:
      return "path";
    case ModelSource::kOllama:
      return "ollama";
    case ModelSource::kHuggingFace:
      return "huggingface";
    case ModelSource::kLmStudio:
      return "lmstudio";
  }
  return "path";
}

ModelList ListModels(const ModelRoots& roots) {
  Walk walk;
  ModelList list;
  std::set<std::string> names;  // where two roots hold the same name, the first root's counts
  const auto add = [&](LocalModel model) {
    if (names.insert(model.name).second) list.items.push_back(std::move(model));
  };
  for (const std::string& root : roots.ollama) {
    for (const OllamaName& name : OllamaNames(root, walk)) {
      Result<LocalModel> model = OpenOllamaModel(root, name);
      if (model.ok()) {
        add(*std::move(model));
      } else {
        walk.notes.push_back("skipped " + model.error().what);
      }
    }
  }
  for (const std::string& root : roots.huggingface) {
    for (HuggingFaceFile& file : ListHuggingFace(root, walk)) add(std::move(file.model));
  }
  for (const std::string& root : roots.lmstudio) {
    for (LocalModel& model : ListLmStudio(root, walk)) add(std::move(model));
  }
  std::sort(list.items.begin(), list.items.end(),
            [](const LocalModel& a, const LocalModel& b) { return a.name < b.name; });
  list.notes = std::move(walk.notes);
  return list;
}

}  // namespace trimma
