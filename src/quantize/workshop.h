// The folder that holds what the making of a file needs. An interrupted run leaves it, and the same
// run finds its finished stages there.
#pragma once

#include <string>

#include "base/result.h"

namespace trimma {

class Workshop {
 public:
  // `key` says what is worked on. Another key's stages are removed first; a folder that holds
  // anything but a workshop is refused (kUsage). kBusy while another process works there.
  static Result<Workshop> Open(const std::string& directory, const std::string& key);
  // What a folder holds of a key's stages, which is only looked at: nothing, these, or another
  // key's, which Open would remove. kUsage as Open.
  enum class Holds { kNothing, kThese, kOthers };
  static Result<Holds> Look(const std::string& directory, const std::string& key);

  Workshop(Workshop&& other) noexcept;
  Workshop& operator=(Workshop&&) = delete;
  ~Workshop();

  const std::string& directory() const { return directory_; }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  // A finished stage's file: files are published whole or not at all.
  bool Has(const std::string& name) const;
  void Remove() const;

 private:
  Workshop(std::string directory, int lock) : directory_(std::move(directory)), lock_(lock) {}
  std::string directory_;
  int lock_ = -1;
};

}  // namespace trimma
