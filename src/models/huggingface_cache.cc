#include "models/huggingface_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "models/gguf_name.h"

namespace trimma {
namespace {

constexpr std::string_view kFolderStart = "models--";
constexpr int kSnapshotDepth = 8;

// "models--user--repo" to "user/repo"; "" if it is no such folder.
std::string RepoOf(std::string_view folder) {
  if (!folder.starts_with(kFolderStart)) return "";
  std::string repo(folder.substr(kFolderStart.size()));
  const size_t separator = repo.find("--");
  if (separator == std::string::npos) return "";
  repo.replace(separator, 2, "/");
  return IsHuggingFaceRepo(repo) ? repo : "";
}

// The snapshots, the one of refs/main first.
std::vector<std::string> Snapshots(const std::string& folder, Walk& walk) {
  std::vector<std::string> commits = walk.Folders(folder + "/snapshots");
  const Result<std::string> main = ReadSmallFile(folder + "/refs/main", 256);
  if (!main.ok() || !IsCommit(Trim(*main))) return commits;
  const auto current = std::find(commits.begin(), commits.end(), Trim(*main));
  if (current != commits.end()) std::rotate(commits.begin(), current, current + 1);
  return commits;
}

std::vector<HuggingFaceFile> ListRepo(const std::string& folder, const std::string& repo,
                                      Walk& walk) {
  std::vector<HuggingFaceFile> found;
  std::set<std::string> seen;
  for (const std::string& commit : Snapshots(folder, walk)) {
    const std::string snapshot = fmt::format("{}/snapshots/{}", folder, commit);
    // Snapshots link to blobs/ beside them: the repository's folder is the fence.
    const std::vector<std::string> files = walk.Files(snapshot, kSnapshotDepth, folder);
    for (const std::string& file : WholeModels(files, walk.notes)) {
      if (!seen.insert(file).second) continue;
      LocalModel model;
      model.source = ModelSource::kHuggingFace;
      model.path = snapshot + "/" + file;
      const std::string projector = ProjectorFor(file, files);
      if (!projector.empty()) model.projector_path = snapshot + "/" + projector;
      found.push_back({repo, file, QuantTag(file), std::move(model)});
    }
  }
  NameByQuant(found);
  return found;
}

// `tag` as a word of the file's name: "UD-Q4_K_XL" in "x-UD-Q4_K_XL-00001-of-00002.gguf", but
// "F16" not in "x-BF16.gguf".
bool HoldsTag(const std::string& file, const std::string& tag) {
  for (size_t at = file.find(tag); at != std::string::npos; at = file.find(tag, at + 1)) {
    const bool begins =
        at == 0 || std::string_view("-./_").find(file[at - 1]) != std::string_view::npos;
    const size_t end = at + tag.size();
    const bool ends = end < file.size() && (file[end] == '.' || file[end] == '-');
    if (begins && ends) return true;
  }
  return false;
}

using Files = std::vector<const HuggingFaceFile*>;

template <typename Fits>
Files Where(const Files& files, Fits fits) {
  Files fitting;
  std::copy_if(files.begin(), files.end(), std::back_inserter(fitting),
               [&](const HuggingFaceFile* file) { return fits(*file); });
  return fitting;
}

Files Choose(const Files& files, const std::string& quant) {
  const std::string wanted = ToLower(quant);
  Files fitting = Where(files, [&](const auto& f) { return ToLower(f.file) == wanted; });
  if (fitting.empty()) {
    fitting = Where(files, [&](const auto& f) { return ToLower(f.quant) == wanted; });
  }
  if (fitting.empty()) {
    fitting = Where(files, [&](const auto& f) { return HoldsTag(ToLower(f.file), wanted); });
  }
  return fitting;
}

Files ChooseDefault(const Files& files) {
  for (const char* quant : {"Q4_K_M", "Q8_0"}) {
    Files fitting = Where(files, [&](const auto& f) { return f.quant == quant; });
    if (!fitting.empty()) return {fitting.front()};
  }
  return {files.front()};
}

}  // namespace

bool IsCommit(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void NameByQuant(std::vector<HuggingFaceFile>& files) {
  std::map<std::string, int> uses;
  for (const HuggingFaceFile& file : files) ++uses[file.quant];
  for (HuggingFaceFile& file : files) {
    const bool unique = !file.quant.empty() && uses[file.quant] == 1;
    file.model.name = fmt::format("hf:{}:{}", file.repo, unique ? file.quant : file.file);
  }
}

bool IsHuggingFaceRepo(std::string_view repo) {
  if (repo.empty() || repo.size() > 256) return false;
  bool after_base = false;
  for (const char c : repo) {
    const bool base =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!base && (!after_base || std::string_view("/.-").find(c) == std::string_view::npos))
      return false;
    after_base = base;
  }
  return after_base && std::count(repo.begin(), repo.end(), '/') == 1;
}

std::vector<HuggingFaceFile> ListHuggingFace(const std::string& root, Walk& walk) {
  std::vector<HuggingFaceFile> found;
  for (const std::string& folder : walk.Folders(root)) {
    const std::string repo = RepoOf(folder);
    if (repo.empty()) continue;  // datasets--, spaces--, other tools' folders
    std::vector<HuggingFaceFile> files = ListRepo(root + "/" + folder, repo, walk);
    std::move(files.begin(), files.end(), std::back_inserter(found));
  }
  return found;
}

std::vector<LocalModel> MatchHuggingFace(std::string_view text,
                                         const std::vector<HuggingFaceFile>& files) {
  const size_t colon = text.find(':');
  const std::string repo = ToLower(text.substr(0, colon));
  std::map<std::string, Files> repos;
  for (const HuggingFaceFile& file : files) {
    const std::string lower = ToLower(file.repo);
    if (lower == repo || FileOf(lower) == repo) repos[file.repo].push_back(&file);
  }
  std::vector<LocalModel> models;
  for (const auto& [name, candidates] : repos) {
    const Files chosen = colon == std::string_view::npos
                             ? ChooseDefault(candidates)
                             : Choose(candidates, std::string(text.substr(colon + 1)));
    for (const HuggingFaceFile* file : chosen) models.push_back(file->model);
  }
  return models;
}

}  // namespace trimma
