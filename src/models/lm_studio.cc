#include "models/lm_studio.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "models/gguf_name.h"

namespace trimma {
namespace {
constexpr std::string_view kPrefix = "lmstudio:";
}  // namespace

std::vector<LocalModel> ListLmStudio(const std::string& root, Walk& walk) {
  std::vector<LocalModel> models;
  for (const std::string& publisher : walk.Folders(root)) {
    for (const std::string& name : walk.Folders(root + "/" + publisher)) {
      const std::string folder = publisher + "/" + name + "/";
      const std::vector<std::string> files = walk.Files(root + "/" + folder, 1, root);
      for (const std::string& file : WholeModels(files, walk.notes)) {
        LocalModel model;
        model.name = std::string(kPrefix) + folder + file;
        model.source = ModelSource::kLmStudio;
        model.path = root + "/" + folder + file;
        const std::string projector = ProjectorFor(file, files);
        if (!projector.empty()) model.projector_path = root + "/" + folder + projector;
        models.push_back(std::move(model));
      }
    }
  }
  return models;
}

std::vector<LocalModel> MatchLmStudio(std::string_view text,
                                      const std::vector<LocalModel>& models) {
  const std::string wanted = ToLower(text);
  std::vector<LocalModel> fitting;
  for (const LocalModel& model : models) {
    const std::string path = ToLower(std::string_view(model.name).substr(kPrefix.size()));
    const std::string_view file = FileOf(path);
    const std::string_view stem = file.substr(0, file.rfind('.'));
    std::string_view folder = FolderOf(path);
    folder.remove_suffix(1);
    const std::array<std::string_view, 5> forms = {path, folder, FileOf(folder), file, stem};
    if (std::find(forms.begin(), forms.end(), wanted) != forms.end()) fitting.push_back(model);
  }
  return fitting;
}

}  // namespace trimma
