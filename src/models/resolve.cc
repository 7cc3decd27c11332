#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "models/gguf_name.h"
#include "models/huggingface_cache.h"
#include "models/lm_studio.h"
#include "models/models.h"
#include "models/ollama_store.h"
#include "models/online_name.h"
#include "models/walk.h"

namespace trimma {
namespace {

constexpr size_t kLongestName = 4096;  // PATH_MAX

// What a name may mean: one source, or any (bare).
struct Query {
  std::optional<ModelSource> source;
  std::string text;
  bool Wants(ModelSource from) const { return !source || *source == from; }
};

Query ParseQuery(const std::string& name) {
  const std::pair<std::string_view, ModelSource> prefixes[] = {
      {"ollama:", ModelSource::kOllama},
      {"hf:", ModelSource::kHuggingFace},
      {"lmstudio:", ModelSource::kLmStudio}};
  for (const auto& [prefix, source] : prefixes) {
    if (name.starts_with(prefix)) return {source, name.substr(prefix.size())};
  }
  return {std::nullopt, name};
}

// Models of one name in several roots are one; the first root's counts.
struct Found {
  std::vector<LocalModel> models;
  std::optional<Error> broken;  // of a name that exists but can't be used
  std::string denied;           // a folder that may not be looked into; "": none

  void Add(LocalModel model) {
    const bool known = std::any_of(models.begin(), models.end(),
                                   [&](const LocalModel& m) { return m.name == model.name; });
    if (!known) models.push_back(std::move(model));
  }
};

void FindInOllama(const OllamaName& wanted, const std::vector<std::string>& roots, Walk& walk,
                  Found& found) {
  for (const std::string& root : roots) {
    const std::vector<OllamaName> names = OllamaNames(root, walk);
    auto at = std::find(names.begin(), names.end(), wanted);
    if (at == names.end()) {
      at = std::find_if(names.begin(), names.end(),
                        [&](const OllamaName& name) { return SameIgnoringCase(name, wanted); });
    }
    if (at == names.end()) continue;
    Result<LocalModel> model = OpenOllamaModel(root, *at);
    if (model.ok()) {
      found.Add(*std::move(model));
    } else if (!found.broken) {
      found.broken = model.error();
    }
  }
}

Result<Found> Find(const Query& query, const ModelRoots& roots) {
  Walk walk;
  Found found;
  if (query.Wants(ModelSource::kOllama)) {
    const Result<OllamaReference> name = ParseOllamaReference(query.text);
    if (name.ok()) {
      FindInOllama(name->name, roots.ollama, walk, found);
    } else if (query.source) {
      return name.error();
    }
  }
  if (query.Wants(ModelSource::kHuggingFace)) {
    for (const std::string& root : roots.huggingface) {
      for (LocalModel& model : MatchHuggingFace(query.text, ListHuggingFace(root, walk))) {
        found.Add(std::move(model));
      }
    }
  }
  if (query.Wants(ModelSource::kLmStudio)) {
    for (const std::string& root : roots.lmstudio) {
      for (LocalModel& model : MatchLmStudio(query.text, ListLmStudio(root, walk))) {
        found.Add(std::move(model));
      }
    }
  }
  found.denied = walk.denied;
  return found;
}

// A file may be named by any path; a folder of that name must not hide a model.
bool IsExistingFile(const std::string& name) {
  std::error_code ec;
  const auto type = std::filesystem::status(name, ec).type();
  return type != std::filesystem::file_type::not_found &&
         type != std::filesystem::file_type::none && type != std::filesystem::file_type::directory;
}

bool LooksLikePath(const std::string& name) {
  return name.find('/') != std::string::npos && IsGgufName(name);
}

// The ways in which people write a model's name: with and without source, folder and tag.
std::vector<std::string> Forms(const std::string& name) {
  std::vector<std::string> forms = {name};
  const std::string bare = name.substr(name.find(':') + 1);
  for (const std::string& form : {bare, bare.substr(0, bare.rfind(':'))}) {
    forms.push_back(form);
    forms.emplace_back(FileOf(form));
  }
  return forms;
}

// Other tags and types of the model that was meant.
std::vector<std::string> Family(const std::string& word, const ModelRoots& roots) {
  constexpr size_t kMostNames = 8;
  std::vector<std::string> names;
  for (const LocalModel& model : ListModels(roots).items) {
    if (names.size() < kMostNames && IsOfFamily(model.name, word)) names.push_back(model.name);
  }
  return names;
}

std::string NearestHint(const std::string& word, const ModelRoots& roots) {
  constexpr size_t kMostNames = 3;
  std::vector<std::pair<std::string, std::string>> forms;  // form, name
  for (const LocalModel& model : ListModels(roots).items) {
    for (std::string& form : Forms(model.name)) forms.emplace_back(std::move(form), model.name);
  }
  std::vector<std::string> near;
  while (near.size() < kMostNames) {
    std::vector<std::string> candidates;
    for (const auto& [form, name] : forms) candidates.push_back(form);
    const std::optional<std::string> nearest = Nearest(word, candidates);
    if (!nearest) break;
    const auto at = std::find(candidates.begin(), candidates.end(), *nearest);
    const std::string name = forms[static_cast<size_t>(at - candidates.begin())].second;
    near.push_back(name);
    std::erase_if(forms, [&](const auto& entry) { return entry.second == name; });
  }
  if (near.empty()) {
    const std::vector<std::string> family = Family(word, roots);
    if (family.empty()) return "trimma models lists what is here";
    return fmt::format(
        "of this model there {} {} here; trimma models {} --online asks the registry",
        family.size() == 1 ? "is" : "are", fmt::join(family, ", "), SafeText(FamilyOf(word)));
  }
  return fmt::format("did you mean {}?", fmt::join(near, " or "));
}

Error Ambiguous(const std::string& name, const std::vector<LocalModel>& models) {
  std::vector<std::string> names;
  for (const LocalModel& model : models) names.push_back(model.name);
  return {Code::kUsage,
          fmt::format("\"{}\" fits {} models: {}", SafeText(name), names.size(),
                      fmt::join(names, ", ")),
          "write one of these names in full"};
}

}  // namespace

Result<LocalModel> ResolveModel(const std::string& name, const ModelRoots& roots) {
  const bool usable =
      !name.empty() && name.size() < kLongestName && name.find('\0') == std::string::npos;
  if (!usable) {
    return Error{Code::kUsage, "the name of the model is empty or too long",
                 "give a path or a name that trimma models lists"};
  }
  const Query query = ParseQuery(name);
  if (!query.source && IsExistingFile(name)) return LocalModel{name, ModelSource::kPath, name, ""};
  TRY(const Found found, Find(query, roots));
  if (found.models.size() == 1) return found.models.front();
  if (found.models.size() > 1) return Ambiguous(name, found.models);
  if (found.broken) {
    Error error = *found.broken;
    // The model is here, and damaged: kNotFound would have it looked for elsewhere.
    if (error.code == Code::kNotFound) error.code = Code::kInvalid;
    return error;
  }
  const std::string shown = SafeText(name);
  if (query.source && !found.denied.empty()) {
    return Error{Code::kPermission,
                 fmt::format("\"{}\" may lie in {}, which this user may not look into", shown,
                             SafeText(found.denied, 500)),
                 "run trimma as the user that owns it, or join its group"};
  }
  std::error_code ignored;
  if (!query.source && std::filesystem::is_directory(name, ignored)) {
    return Error{Code::kInvalid, fmt::format("{} is a directory", shown), "name a GGUF file"};
  }
  if (!query.source && LooksLikePath(name)) {
    return Error{Code::kNotFound, fmt::format("there is no file {}", shown),
                 NearestHint(name, roots)};
  }
  return Error{Code::kNotFound, fmt::format("no model \"{}\" on this machine", shown),
               NearestHint(name, roots) +
                   (found.denied.empty()
                        ? ""
                        : fmt::format("; {} may not be looked into", SafeText(found.denied, 500)))};
}

}  // namespace trimma
