// What an interrupted quantisation has finished, so that the next run goes on from there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace trimma {

// A lock and a line per safe point, beside the output: OUTPUT.trimma-journal. A line is written
// only after the data it speaks of is on disk, so a crash never leaves a journal that promises too
// much.
class Journal {
 public:
  // Locks (kBusy if another process works on the same output) and reads. `plan` identifies source,
  // types and importance; a journal of another plan is thrown away.
  static Result<Journal> Open(const std::string& path, const std::string& plan);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  uint64_t finished() const { return finished_; }  // tensors, in order, that need no work
  Status Restart();                                // believes nothing any more
  Status Record(uint64_t finished);
  void Remove();

 private:
  Journal(std::string path, std::string plan, int fd)
      : path_(std::move(path)), plan_(std::move(plan)), fd_(fd) {}
  std::string path_;
  std::string plan_;
  int fd_ = -1;
  uint64_t finished_ = 0;
};

}  // namespace trimma
