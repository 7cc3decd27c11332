#include "cli/ollama_service.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

constexpr const char* kFolder = "/etc/systemd/system/ollama.service.d";

std::string ThisProgram() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "trimma" : path.string();
}

}  // namespace

std::optional<std::string> FindOllamaUnit(const std::string& root) {
  std::error_code error;
  for (const char* folder :
       {"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system", "/lib/systemd/system"}) {
    const std::string path = fmt::format("{}{}/ollama.service", root, folder);
    if (std::filesystem::is_regular_file(path, error)) return path;
  }
  return std::nullopt;
}

Result<std::string> OllamaDropInPath(const std::string& root) {
  if (!FindOllamaUnit(root)) {
    return Error{Code::kNotFound, "there is no systemd unit ollama.service on this machine",
                 "write an environment file with --env FILE, for whoever starts `ollama serve`"};
  }
  return root + kFolder + "/trimma.conf";
}

Status MakeDropInFolder(const std::string& path, const std::string& as_root) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  const bool there = std::filesystem::exists(folder, ignored);
  const std::string written = there ? folder.string() : folder.parent_path().string();
  if (access(written.c_str(), W_OK) != 0) {
    return Error{
        Code::kPermission, fmt::format("{} can be written by root only", written),
        fmt::format("run: sudo {} {} && {}", ShellWord(ThisProgram()), as_root, kActivateDropIn)};
  }
  // Not MakeDirectories' 0700: other users look at a unit with systemctl cat.
  if (mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return ErrnoError("create", folder.string(), errno);
}

std::string ActivateEnvironment(const std::string& path) {
  return fmt::format("set -a; . {}; set +a; ollama serve", ShellWord(path));
}

}  // namespace trimma
