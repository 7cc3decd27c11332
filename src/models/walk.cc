#include "models/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/text.h"

namespace trimma {
namespace fs = std::filesystem;

std::vector<Walk::Entry> Walk::Entries(const std::string& folder) {
  std::vector<Entry> entries;
  std::error_code ec;
  fs::directory_iterator it(folder, ec);
  if (ec) {
    const bool absent =
        ec == std::errc::no_such_file_or_directory || ec == std::errc::not_a_directory;
    if (!absent) notes.push_back(fmt::format("cannot look into {}: {}", folder, ec.message()));
    if (ec == std::errc::permission_denied && denied.empty()) denied = folder;
    return entries;
  }
  while (it != fs::directory_iterator()) {
    if (budget_ <= 0) {
      if (!exhausted_)
        notes.push_back(fmt::format("too many entries; stopped looking in {}", folder));
      exhausted_ = true;
      break;
    }
    --budget_;
    const std::string name = it->path().filename().string();
    std::error_code ignored;  // an entry that vanished meanwhile has no type
    const fs::file_type type = it->symlink_status(ignored).type();
    if (name.starts_with('.')) {
      // Locks, Finder's notes, half-made files.
    } else if (SafeText(name, name.size()) != name) {
      notes.push_back(fmt::format("skipped a name with control characters in {}", folder));
    } else if (type == fs::file_type::regular) {
      entries.push_back({name, Entry::Kind::kFile});
    } else if (type == fs::file_type::directory) {
      entries.push_back({name, Entry::Kind::kFolder});
    } else if (type == fs::file_type::symlink) {
      entries.push_back({name, Entry::Kind::kLink});
    }
    it.increment(ec);
    if (ec) {
      notes.push_back(fmt::format("cannot read all of {}: {}", folder, ec.message()));
      break;
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

void Walk::AddFiles(const std::string& folder, const std::string& prefix, int depth,
                    const std::string& fence, std::vector<std::string>& files) {
  for (const Entry& entry : Entries(folder)) {
    const std::string path = folder + "/" + entry.name;
    switch (entry.kind) {
      case Entry::Kind::kFile:
        files.push_back(prefix + entry.name);
        break;
      case Entry::Kind::kFolder:
        if (depth > 1) AddFiles(path, prefix + entry.name + "/", depth - 1, fence, files);
        break;
      case Entry::Kind::kLink:
        if (IsFileInside(path, fence)) {
          files.push_back(prefix + entry.name);
        } else {
          notes.push_back(
              fmt::format("skipped {}: the link does not end at a file inside {}", path, fence));
        }
        break;
    }
  }
}

std::vector<std::string> Walk::Files(const std::string& folder, int depth,
                                     const std::string& fence) {
  std::vector<std::string> files;
  AddFiles(folder, "", depth, fence, files);
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> Walk::Folders(const std::string& folder) {
  std::vector<std::string> folders;
  for (const Entry& entry : Entries(folder)) {
    if (entry.kind == Entry::Kind::kFolder) folders.push_back(entry.name);
  }
  return folders;
}

bool IsFileInside(const std::string& path, const std::string& fence) {
  std::error_code ec;
  const fs::path real = fs::canonical(path, ec);
  if (ec || !fs::is_regular_file(real, ec)) return false;
  const fs::path inside = fs::canonical(fence, ec);
  if (ec) return false;
  return std::mismatch(inside.begin(), inside.end(), real.begin(), real.end()).first ==
         inside.end();
}

}  // namespace trimma
