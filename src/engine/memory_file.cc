#include "engine/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"

namespace trimma {

Result<MemoryFile> MemoryFile::Create(const std::string& header, uint64_t bytes) {
  return Fill(memfd_create("trimma-ghost", MFD_CLOEXEC), header, bytes);
}

Result<MemoryFile> MemoryFile::CreateIn(const std::string& directory, const std::string& header,
                                        uint64_t bytes) {
  constexpr mode_t kOwnersOnly = 0600;
  const int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kOwnersOnly);
  return fd < 0 ? Create(header, bytes) : Fill(fd, header, bytes);
}

Result<MemoryFile> MemoryFile::Fill(int fd, const std::string& header, uint64_t bytes) {
  MemoryFile file(fd);
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

std::string MemoryFile::path_for_children() const {
  return fmt::format("/proc/{}/fd/{}", getpid(), fd_);
}

Error UnderItsName(Error error, const MemoryFile& file, const std::string& name) {
  for (const std::string& path : {file.path(), file.path_for_children()}) {
    const size_t at = error.what.find(path);
    if (at != std::string::npos) error.what.replace(at, path.size(), name);
  }
  return error;
}

}  // namespace trimma
