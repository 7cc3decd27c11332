#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>

namespace trimma {
namespace {

FileStamp StampOf(const struct stat& st) {
  return {static_cast<uint64_t>(st.st_size),
          static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec,
          static_cast<uint64_t>(st.st_dev), static_cast<uint64_t>(st.st_ino)};
}

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string HiddenPartName(const std::string& path) {
  std::random_device random;
  const std::filesystem::path p(path);
  // The name may be 255 bytes long already; the part's own must fit too.
  return (p.parent_path() / fmt::format(".{}.trimma-tmp-{}-{:08x}",
                                        p.filename().string().substr(0, 200), getpid(), random()))
      .string();
}

Error Taken(const std::string& path) {
  return {Code::kFailure, fmt::format("{} exists already", path),
          "choose another name, or pass --force"};
}

Error FullDisk(const std::string& path, uint64_t bytes, int err) {
  Error error = ErrnoError(fmt::format("reserve {} bytes for", bytes), path, err);
  error.code = Code::kIo;
  error.hint = "free some space, or write to another disk";
  return error;
}

}  // namespace

Error ErrnoError(const std::string& doing, const std::string& path, int err) {
  Code code = Code::kIo;
  std::string hint;
  switch (err) {
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      hint = "check the path";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kPermission;
      hint = "check the permissions, or choose another place";
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      hint = "free some space, or write to another disk";
      break;
    default:
      break;
  }
  return {code, fmt::format("cannot {} {}: {}", doing, path, std::generic_category().message(err)),
          hint};
}

Result<InputFile> InputFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; fstat then refuses it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoError("open", path, errno);
  struct stat st{};
  if (fstat(fd, &st) != 0) {
    const int err = errno;
    close(fd);
    return ErrnoError("read", path, err);
  }
  if (!S_ISREG(st.st_mode)) {
    close(fd);
    const char* kind = S_ISDIR(st.st_mode)    ? "a directory"
                       : S_ISFIFO(st.st_mode) ? "a FIFO"
                                              : "not a regular file";
    return Error{Code::kInvalid, fmt::format("{} is {}", path, kind), "name a file"};
  }
  return InputFile(path, fd, StampOf(st));
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), stamp_(other.stamp_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(stamp_, other.stamp_);
  return *this;
}

InputFile::~InputFile() {
  if (fd_ >= 0) close(fd_);
}

Status InputFile::ReadAt(uint64_t offset, void* to, uint64_t bytes) const {
  char* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = pread(fd_, at, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("read", path_, errno);
    if (n == 0) {
      return Error{Code::kInvalid,
                   fmt::format("{} ends at byte {}, more was expected", path_, offset),
                   "the file is incomplete or was changed meanwhile; fetch it again"};
    }
    at += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<uint64_t>(n);
  }
  return {};
}

Result<OutputFile> OutputFile::Create(const std::string& path, const Options& options) {
  struct stat st{};
  const bool exists = stat(path.c_str(), &st) == 0;
  if (exists && !S_ISREG(st.st_mode)) {
    return Error{Code::kInvalid, fmt::format("{} is not a regular file", path),
                 "choose another output name"};
  }
  if (exists && !options.replace) return Taken(path);
  const bool named = !options.part_path.empty();
  const std::string part = named ? options.part_path : HiddenPartName(path);
  int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  if (!named) flags |= O_EXCL;
  if (named && !options.resume) flags |= O_TRUNC;
  const int fd = open(part.c_str(), flags, static_cast<mode_t>(options.mode.value_or(0644)));
  if (fd < 0) return ErrnoError("create a file in", DirectoryOf(path), errno);
  if (options.owner && fchown(fd, options.owner->first, options.owner->second) != 0 &&
      fchown(fd, static_cast<uid_t>(-1), options.owner->second) != 0) {
    // Only the superuser may give files away; the group is kept where we are in it.
  }
  // A mode that was asked for is meant as it is; the umask cuts only the default.
  if (options.mode) fchmod(fd, static_cast<mode_t>(*options.mode));
  OutputFile file(path, part, fd, options);
  if (options.expect_bytes > 0) {
    const int err = posix_fallocate(fd, 0, static_cast<off_t>(options.expect_bytes));
    if (err != 0 && err != EOPNOTSUPP && err != EINVAL) {
      Error error = FullDisk(path, options.expect_bytes, err);
      (void)file.Discard();
      return error;
    }
  }
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      part_path_(std::move(other.part_path_)),
      fd_(std::exchange(other.fd_, -1)),
      options_(std::move(other.options_)) {}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  // A named part is what a later run resumes from; a hidden one is litter.
  if (options_.part_path.empty()) unlink(part_path_.c_str());
}

Status OutputFile::WriteAt(uint64_t offset, const void* from, uint64_t bytes) {
  const char* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = pwrite(fd_, at, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("write", part_path_, errno);
    at += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<uint64_t>(n);
  }
  return {};
}

Status OutputFile::CopyAt(uint64_t offset, const InputFile& from, uint64_t from_offset,
                          uint64_t bytes) {
  while (bytes > 0) {
    auto in = static_cast<off64_t>(from_offset);
    auto out = static_cast<off64_t>(offset);
    const ssize_t n = copy_file_range(from.fd_, &in, fd_, &out, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
      return ErrnoError("write", part_path_, errno);
    if (n <= 0) return CopyThroughMemory(offset, from, from_offset, bytes);
    offset += static_cast<uint64_t>(n);
    from_offset += static_cast<uint64_t>(n);
    bytes -= static_cast<uint64_t>(n);
  }
  return {};
}

Status OutputFile::CopyThroughMemory(uint64_t offset, const InputFile& from, uint64_t from_offset,
                                     uint64_t bytes) {
  constexpr uint64_t kBufferBytes = 1 << 20;
  std::vector<char> buffer;
  for (uint64_t done = 0; done < bytes; done += buffer.size()) {
    buffer.resize(std::min(kBufferBytes, bytes - done));
    TRY_STATUS(from.ReadAt(from_offset + done, buffer.data(), buffer.size()));
    TRY_STATUS(WriteAt(offset + done, buffer.data(), buffer.size()));
  }
  return {};
}

Status OutputFile::Sync() {
  if (fdatasync(fd_) != 0) return ErrnoError("flush", part_path_, errno);
  return {};
}

Status OutputFile::Publish() {
  TRY_STATUS(Sync());
  if (close(std::exchange(fd_, -1)) != 0) {
    const int err = errno;
    unlink(part_path_.c_str());
    return ErrnoError("close", part_path_, err);
  }
  // Without `replace`, link() fails where the name was taken since Create looked.
  const int rc = options_.replace ? rename(part_path_.c_str(), path_.c_str())
                                  : link(part_path_.c_str(), path_.c_str());
  const int publish_error = errno;
  if (!options_.replace || (rc != 0 && options_.part_path.empty())) unlink(part_path_.c_str());
  if (rc != 0)
    return publish_error == EEXIST ? Taken(path_) : ErrnoError("publish", path_, publish_error);
  const int dir = open(DirectoryOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    close(dir);
  }
  return {};
}

Status OutputFile::Discard() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  if (unlink(part_path_.c_str()) != 0 && errno != ENOENT)
    return ErrnoError("remove", part_path_, errno);
  return {};
}

Result<std::string> ReadSmallFile(const std::string& path, uint64_t max_bytes) {
  TRY(const InputFile file, InputFile::Open(path));
  if (file.bytes() > max_bytes) {
    return Error{Code::kInvalid,
                 fmt::format("{} has {} bytes, at most {} are read", path, file.bytes(), max_bytes),
                 ""};
  }
  std::string content(file.bytes(), '\0');
  TRY_STATUS(file.ReadAt(0, content.data(), content.size()));
  return content;
}

Result<std::string> ReadPseudoFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoError("open", path, errno);
  std::string content;
  char buffer[4096];
  ssize_t n = 0;
  while ((n = read(fd, buffer, sizeof buffer)) > 0) content.append(buffer, static_cast<size_t>(n));
  const int err = errno;
  close(fd);
  if (n < 0) return ErrnoError("read", path, err);
  return content;
}

Status WriteFileAtomically(const std::string& path, const std::string& content,
                           const std::string& like) {
  OutputFile::Options options;
  struct stat st{};
  if (!like.empty() && stat(like.c_str(), &st) == 0) {
    options.mode = st.st_mode & 0777;
    options.owner = {st.st_uid, st.st_gid};
  }
  TRY(OutputFile file, OutputFile::Create(path, options));
  TRY_STATUS(file.WriteAt(0, content.data(), content.size()));
  return file.Publish();
}

Status MakeDirectories(const std::string& path) {
  if (path.empty()) return Error{Code::kUsage, "an empty directory name", "set HOME"};
  std::string partial;
  for (const auto& piece : std::filesystem::path(path)) {
    partial = (std::filesystem::path(partial) / piece).string();
    if (mkdir(partial.c_str(), 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
      return ErrnoError("create the directory", partial, errno);
    }
  }
  struct stat st{};
  if (stat(path.c_str(), &st) != 0)
    return ErrnoError("create the directory", path, errno == ENOENT ? EACCES : errno);
  if (!S_ISDIR(st.st_mode))
    return Error{Code::kInvalid, fmt::format("{} is not a directory", path), ""};
  return {};
}

bool SameFile(const std::string& a, const std::string& b) {
  struct stat sa{};
  struct stat sb{};
  return stat(a.c_str(), &sa) == 0 && stat(b.c_str(), &sb) == 0 && sa.st_dev == sb.st_dev &&
         sa.st_ino == sb.st_ino;
}

std::string HomeDirectory() {
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? home : "";
}

namespace {
std::string XdgDirectory(const char* variable, const char* fallback) {
  const char* value = std::getenv(variable);
  if (value != nullptr && value[0] == '/') return fmt::format("{}/trimma", value);
  const std::string home = HomeDirectory();
  return home.empty() ? "" : fmt::format("{}/{}/trimma", home, fallback);
}
}  // namespace

std::string CacheDirectory() { return XdgDirectory("XDG_CACHE_HOME", ".cache"); }
std::string StateDirectory() { return XdgDirectory("XDG_STATE_HOME", ".local/state"); }

}  // namespace trimma
