// Files: positioned reads of regular files, and atomic publishing of new ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace trimma {

// What we know of a file without reading it; equal stamps mean "the same content" to us.
struct FileStamp {
  uint64_t bytes = 0;
  int64_t mtime_ns = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

// A regular file opened for reading at any position (pread: safe from many threads,
// and a file truncated meanwhile is an error, not a SIGBUS).
class InputFile {
 public:
  // Refuses directories, FIFOs and devices (kInvalid); kNotFound, kPermission, kIo as errno says.
  static Result<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  const FileStamp& stamp() const { return stamp_; }
  uint64_t bytes() const { return stamp_.bytes; }

  // Fills all `bytes` of `to`, or fails (kInvalid past the end, kIo otherwise).
  Status ReadAt(uint64_t offset, void* to, uint64_t bytes) const;

 private:
  friend class OutputFile;
  InputFile(std::string path, int fd, FileStamp stamp)
      : path_(std::move(path)), fd_(fd), stamp_(stamp) {}
  std::string path_;
  int fd_ = -1;
  FileStamp stamp_;
};

// A new file that appears under its name only when complete.
//
// Created beside the destination, so the last step is a rename in one directory; after
// a failure, a crash or a lost power supply the destination is the whole old file or the
// whole new one. Not thread-safe, but WriteAt may be called in any order.
class OutputFile {
 public:
  struct Options {
    uint64_t expect_bytes = 0;     // reserved up front, so a full disk is known before the work
    bool replace = true;           // false: fail with kFailure if the destination exists
    std::string part_path;         // empty: a random hidden name, removed on failure;
                                   // else this name, kept for resuming
    bool resume = false;           // open an existing part_path instead of truncating it
    std::optional<uint32_t> mode;  // permissions, exactly; nullopt: 0644 less the umask
    // User and group, as far as we may give it to them; nullopt: ours.
    std::optional<std::pair<uint32_t, uint32_t>> owner;
  };
  static Result<OutputFile> Create(const std::string& path, const Options& options);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  const std::string& part_path() const { return part_path_; }
  Status WriteAt(uint64_t offset, const void* from, uint64_t bytes);
  // Bytes of another file. Where both lie on a filesystem that can, whole blocks are shared with
  // it.
  Status CopyAt(uint64_t offset, const InputFile& from, uint64_t from_offset, uint64_t bytes);
  Status Sync();     // data on disk
  Status Publish();  // sync, rename, sync the directory
  Status Discard();  // remove the part; the destination is untouched

 private:
  OutputFile(std::string path, std::string part_path, int fd, const Options& options)
      : path_(std::move(path)), part_path_(std::move(part_path)), fd_(fd), options_(options) {}
  // Where the kernel can't copy from file to file.
  Status CopyThroughMemory(uint64_t offset, const InputFile& from, uint64_t from_offset,
                           uint64_t bytes);
  std::string path_;
  std::string part_path_;
  int fd_ = -1;
  Options options_;
};

// The whole of a small text or binary file; more than `max_bytes` is kInvalid.
Result<std::string> ReadSmallFile(const std::string& path, uint64_t max_bytes = 64ULL << 20);

// The same for /proc and /sys, whose files report size 0.
Result<std::string> ReadPseudoFile(const std::string& path);

// Publishes `content` atomically, with the owner and the permissions of `like` where that file
// exists.
Status WriteFileAtomically(const std::string& path, const std::string& content,
                           const std::string& like = "");

// mkdir -p with mode 0700 for what is created.
Status MakeDirectories(const std::string& path);

// True if both exist and are the same file (inode), whatever their names.
bool SameFile(const std::string& a, const std::string& b);

// Error from errno: "cannot open /x: No such file or directory" with the fitting code.
Error ErrnoError(const std::string& doing, const std::string& path, int err);

// Directories of the XDG base directory specification, with "/trimma" appended.
// Variables that hold a relative path are ignored, as it says. Empty without HOME.
std::string CacheDirectory();  // may be deleted at any time
std::string StateDirectory();  // records and measurements
std::string HomeDirectory();

}  // namespace trimma
