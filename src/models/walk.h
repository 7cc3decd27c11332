// Looking through folders that other programs own: bounded, and never out of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trimma {

// One budget of entries for a whole listing, so that a huge or hostile tree can't stall it.
class Walk {
 public:
  static constexpr int64_t kMostEntries = 100'000;
  explicit Walk(int64_t budget = kMostEntries) : budget_(budget) {}

  // Regular files below `folder`, as sorted relative paths; `depth` 1 is the folder itself.
  // Links to folders are not followed, links to files only to a target inside `fence`.
  // Names that begin with a dot are not looked at. A missing folder has no files.
  std::vector<std::string> Files(const std::string& folder, int depth, const std::string& fence);

  // Names of the folders directly in `folder`, sorted; links are left out.
  std::vector<std::string> Folders(const std::string& folder);

  // What was skipped and why, one sentence each.
  std::vector<std::string> notes;
  std::string denied;  // the first folder that we may not look into; "": none

 private:
  struct Entry {
    std::string name;
    enum class Kind { kFile, kFolder, kLink } kind;
  };
  std::vector<Entry> Entries(const std::string& folder);
  void AddFiles(const std::string& folder, const std::string& prefix, int depth,
                const std::string& fence, std::vector<std::string>& files);

  int64_t budget_;
  bool exhausted_ = false;
};

// True if `path`, links followed, is a regular file inside the folder `fence`.
bool IsFileInside(const std::string& path, const std::string& fence);

}  // namespace trimma
