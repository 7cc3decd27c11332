// The folder that holds what the making of a file needs. An interrupted run leaves it, and the same
// run finds its finished stages there.
#pragma once

#include <string>

#include "base/result.h"

namespace trimma {

class Workshop {
 public:
  // `key` says what is being made, of what, with which options; what another key has left is
  // removed first.
  static Result<Workshop> Open(const std::string& directory, const std::string& key);

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  // A finished stage's file: files are published whole or not at all.
  bool Has(const std::string& name) const;
  void Remove() const;

 private:
  explicit Workshop(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

}  // namespace trimma
