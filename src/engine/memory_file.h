// A file in memory, which the engine opens by its path: a GGUF's header and a hole.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace trimma {

class MemoryFile {
 public:
  // `header`, followed by nothing up to `bytes`.
  static Result<MemoryFile> Create(const std::string& header, uint64_t bytes);
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile();

  std::string path() const;  // valid in this process, while the object lives

 private:
  explicit MemoryFile(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// `error`, about a file that the user knows as `name`.
Error UnderItsName(Error error, const MemoryFile& file, const std::string& name);

}  // namespace trimma
