// A file without a name, which the engine opens by its path all the same: a GGUF's header and a
// hole.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace trimma {

class MemoryFile {
 public:
  // `header`, followed by nothing up to `bytes`.
  static Result<MemoryFile> Create(const std::string& header, uint64_t bytes);
  // The same on the disk of `directory`, for what will be read to its end: the hole takes no room
  // there, and what was read of it leaves memory when it is needed. In memory where that filesystem
  // has no files without a name.
  static Result<MemoryFile> CreateIn(const std::string& directory, const std::string& header,
                                     uint64_t bytes);
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile();

  // While the object lives, in this process; and in its children too.
  std::string path() const;
  std::string path_for_children() const;

 private:
  explicit MemoryFile(int fd) : fd_(fd) {}
  static Result<MemoryFile> Fill(int fd, const std::string& header, uint64_t bytes);
  int fd_ = -1;
};

// `error`, about a file that the user knows as `name`.
Error UnderItsName(Error error, const MemoryFile& file, const std::string& name);

}  // namespace trimma
