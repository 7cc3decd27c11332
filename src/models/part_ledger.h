// Which bytes of a file have been fetched, kept in a file beside it, so that any end of the
// process loses nothing that was written.
//
// The file is cut into parts that are fetched side by side, each from its front. The journal:
// a line of 64 bytes ("trimma-parts 1 <bytes> <part bytes>"), then 8 bytes a part, little-endian:
// how many of its bytes are written. A counter is written after its data.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

class PartLedger {
 public:
  struct Part {
    size_t index = 0;
    uint64_t offset = 0;  // of what is missing
    uint64_t count = 0;   // missing bytes, at least 1
  };

  // Goes on with the journal at `path` where it is of a file of so many bytes, else begins anew.
  // kBusy while another process has it open.
  static Result<std::unique_ptr<PartLedger>> Open(const std::string& path, uint64_t bytes);
  ~PartLedger();
  PartLedger(const PartLedger&) = delete;
  PartLedger& operator=(const PartLedger&) = delete;

  // Nothing is written: the file is another one, or can't be gone on with.
  Status Forget();

  // All below are thread-safe.
  std::optional<Part> Claim();  // the first part that isn't full and that nobody has claimed
  Status Add(const Part& part, uint64_t bytes);  // so many more bytes are written from its offset
  uint64_t written() const;
  // How many bytes from the file's front are all written.
  uint64_t front() const;
  // Waits until front() is above `front`, at most 0.1 s; returns it.
  uint64_t WaitForFront(uint64_t front);
  uint64_t bytes() const { return bytes_; }

  void Remove();  // the journal is no longer needed

 private:
  PartLedger(std::string path, int fd, uint64_t bytes);
  static Result<std::unique_ptr<PartLedger>> Lock(const std::string& path, uint64_t bytes);
  uint64_t SizeOf(size_t part) const;
  bool Restore();
  uint64_t FrontLocked() const;

  std::string path_;
  int fd_;
  uint64_t bytes_;
  uint64_t part_bytes_;
  std::vector<uint64_t> done_;
  std::vector<bool> claimed_;
  uint64_t written_ = 0;
  mutable std::mutex mutex_;
  mutable size_t first_open_ = 0;  // every part before it is full
  std::condition_variable moved_;
};

}  // namespace trimma
