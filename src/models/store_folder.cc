#include "models/store_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "base/units.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSpareBytes = uint64_t{64} << 20;
constexpr size_t kLongestPathPart = 255;
constexpr size_t kMostParts = 8;
constexpr mode_t kFolderMode = 0755;

Status MakeOne(const std::string& path) {
  if (mkdir(path.c_str(), kFolderMode) == 0 || errno == EEXIST) return {};
  return ErrnoError("create the folder", path, errno);
}

bool IsInside(const fs::path& path, const fs::path& fence) {
  return std::mismatch(fence.begin(), fence.end(), path.begin(), path.end()).first == fence.end();
}

}  // namespace

Result<std::string> FolderIn(const std::string& root, const std::string& relative) {
  std::error_code ec;
  fs::create_directories(root, ec);
  const fs::path fence = fs::canonical(root, ec);
  if (ec) return ErrnoError("create the folder", root, ec.value());
  std::string path = root;
  for (const std::string& part : Split(relative, '/')) {
    if (part.empty()) continue;
    path += "/" + part;
    TRY_STATUS(MakeOne(path));
    const fs::path real = fs::canonical(path, ec);
    if (ec || !fs::is_directory(real, ec) || !IsInside(real, fence)) {
      return Error{Code::kInvalid,
                   fmt::format("{} is no folder inside {}", SafeText(path, 500), root),
                   "a link or a file stands in its place; remove it"};
    }
  }
  return path;
}

Status CheckRoom(const std::string& folder, uint64_t bytes) {
  struct statvfs disk{};
  if (statvfs(folder.c_str(), &disk) != 0) return ErrnoError("look at the disk of", folder, errno);
  const uint64_t room = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (bytes <= room && room - bytes >= std::min(kSpareBytes, bytes)) return {};
  return Error{Code::kIo,
               fmt::format("{} more are needed in {}, {} are free", FormatBytes(bytes), folder,
                           FormatBytes(room)),
               "free some space, or choose a smaller type"};
}

bool IsSafeSubpath(std::string_view path) {
  const std::vector<std::string> parts = Split(path, '/');
  if (path.empty() || parts.size() > kMostParts || !IsUtf8(path)) return false;
  return std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
    return !part.empty() && part != "." && part != ".." && part.size() <= kLongestPathPart &&
           part.find('\\') == std::string::npos && SafeText(part, part.size()) == part;
  });
}

}  // namespace trimma
