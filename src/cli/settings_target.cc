#include "cli/settings_target.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"

namespace trimma {
namespace {

std::string RealPath(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return path;
  const auto real = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute.string() : real.string();
}

}  // namespace

Result<std::string> SettingsTarget(const std::string& path) {
  std::string target = RealPath(path);
  struct stat file{};
  if (stat(target.c_str(), &file) != 0) return target;
  struct stat named{};
  const bool is_link = lstat(path.c_str(), &named) == 0 && S_ISLNK(named.st_mode);
  // Ours to change, whoever made the link; the superuser's files are not led to by others' links.
  const bool ours = file.st_uid == geteuid() && geteuid() != 0;
  if (is_link && file.st_uid != named.st_uid && !ours) {
    return Error{Code::kPermission,
                 fmt::format("{} leads to {}, a file of another user", SafeText(path, 500),
                             SafeText(target, 500)),
                 "name that file itself if it is meant"};
  }
  // A rename would replace a read-only file as well, and the superuser may write anything.
  constexpr mode_t kAnyonesWrite = S_IWUSR | S_IWGRP | S_IWOTH;
  const bool read_only = (file.st_mode & kAnyonesWrite) == 0 || access(target.c_str(), W_OK) != 0;
  if (S_ISREG(file.st_mode) && read_only) {
    return Error{Code::kPermission, fmt::format("{} is read-only", SafeText(target, 500)),
                 "make it writable (chmod u+w), or name another file"};
  }
  return target;
}

}  // namespace trimma
