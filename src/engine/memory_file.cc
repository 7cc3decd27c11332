#include "engine/memory_file.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"

namespace trimma {

Result<MemoryFile> MemoryFile::Create(const std::string& header, uint64_t bytes) {
  MemoryFile file(memfd_create("trimma-ghost", MFD_CLOEXEC));
  if (file.fd_ < 0 || ftruncate(file.fd_, static_cast<off_t>(bytes)) != 0)
    return ErrnoError("create", "a ghost model", errno);
  size_t done = 0;
  while (done < header.size()) {
    const ssize_t n =
        pwrite(file.fd_, header.data() + done, header.size() - done, static_cast<off_t>(done));
    if (n <= 0) return ErrnoError("write", "a ghost model", errno);
    done += static_cast<size_t>(n);
  }
  return file;
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

MemoryFile::~MemoryFile() {
  if (fd_ >= 0) close(fd_);
}

std::string MemoryFile::path() const { return fmt::format("/proc/self/fd/{}", fd_); }

Error UnderItsName(Error error, const MemoryFile& file, const std::string& name) {
  const size_t at = error.what.find(file.path());
  if (at != std::string::npos) error.what.replace(at, file.path().size(), name);
  return error;
}

}  // namespace trimma
