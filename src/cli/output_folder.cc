#include "cli/output_folder.h"

#include <fmt/format.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "cli/records.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

constexpr const char* kWork = ".work-";

// What a run that was killed left behind counts as nothing.
bool IsEmpty(const std::string& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(folder, error);
  return std::all_of(begin(entries), end(entries), [](const auto& entry) {
    return entry.path().filename().string().starts_with(kWork);
  });
}

}  // namespace

Result<OutputFolder> OpenOutputFolder(const std::string& path) {
  OutputFolder folder;
  std::error_code error;
  folder.path = std::filesystem::absolute(path, error).string();
  folder.fresh = IsEmpty(folder.path);
  folder.ours = folder.fresh || AppliedFromRecord(folder.path + "/record.json").ok();
  for (const char* name : {"config.toml", "Modelfile", "ollama.env", "llama-server.ini",
                           "report.html", "record.json"}) {
    TRY_STATUS(CheckMayReplace(folder, folder.path + "/" + name));
  }
  TRY_STATUS(MakeDirectories(folder.path));
  if (access(folder.path.c_str(), W_OK) != 0) return ErrnoError("write into", folder.path, errno);
  folder.work = folder.path + "/" + kWork + "XXXXXX";
  if (mkdtemp(folder.work.data()) == nullptr)
    return ErrnoError("make a folder in", folder.path, errno);
  return folder;
}

Status CheckMayReplace(const OutputFolder& folder, const std::string& path) {
  std::error_code error;
  if (folder.ours || !std::filesystem::exists(std::filesystem::symlink_status(path, error)))
    return {};
  return Error{
      Code::kUsage,
      fmt::format("{} is there already, and no record of trimma's beside it", SafeText(path, 500)),
      "name another directory with -o"};
}

std::vector<std::string> UndoCommands(const OutputFolder& folder, const WrittenFiles& files) {
  if (folder.fresh) return {"rm -r " + ShellWord(folder.path)};
  std::string command = "rm";
  for (const std::string* file :
       {&files.model, &files.ollama_model, &files.projector, &files.config, &files.modelfile,
        &files.env, &files.llama_server, &files.report, &files.record}) {
    if (file->starts_with(folder.path + "/")) command += " " + ShellWord(*file);
  }
  return {command};
}

}  // namespace trimma
