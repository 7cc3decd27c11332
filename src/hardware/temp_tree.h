// For tests: a folder in the temporary directory that is filled with small files and goes away.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace trimma {

class TempTree {
 public:
  TempTree() {
    std::string form = (std::filesystem::temp_directory_path() / "trimma-test-XXXXXX").string();
    if (mkdtemp(form.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
    root_ = form;
  }
  ~TempTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  std::string operator/(const std::string& path) const { return (root_ / path).string(); }

  void Write(const std::string& path, const std::string& content) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << content;
  }
  void Write(const std::map<std::string, std::string>& files) const {
    for (const auto& [path, content] : files) Write(path, content);
  }
  // `target` is kept as it is: relative to the link's folder, or absolute.
  void Link(const std::string& path, const std::string& target) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::filesystem::create_symlink(target, root_ / path);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace trimma
