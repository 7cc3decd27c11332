#include "quantize/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <utility>

#include "base/file.h"

namespace trimma {
namespace {

Status WriteLine(int fd, const std::string& path, const std::string& line) {
  const std::string text = line + "\n";
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return ErrnoError("write", path, errno);
  if (fdatasync(fd) != 0) return ErrnoError("flush", path, errno);
  return {};
}

}  // namespace

Result<Journal> Journal::Open(const std::string& path, const std::string& plan) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return ErrnoError("create", path, errno);
  Journal journal(path, plan, fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(std::exchange(journal.fd_, -1));
    return Error{Code::kBusy, fmt::format("another trimma writes this output (it holds {})", path),
                 "wait for it, or choose another name"};
  }
  TRY(const std::string text, ReadSmallFile(path));
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  if (line != "plan " + plan) {
    TRY_STATUS(journal.Restart());
    return journal;
  }
  // A torn last line has no digits to the end or no line feed: it is not believed.
  while (std::getline(lines, line) && !lines.eof()) {
    if (line.starts_with("finished "))
      journal.finished_ = std::strtoull(line.c_str() + 9, nullptr, 10);
  }
  return journal;
}

Journal::Journal(Journal&& other) noexcept
    : path_(std::move(other.path_)),
      plan_(std::move(other.plan_)),
      fd_(std::exchange(other.fd_, -1)),
      finished_(other.finished_) {}

Journal::~Journal() {
  if (fd_ >= 0) close(fd_);
}

Status Journal::Restart() {
  finished_ = 0;
  if (ftruncate(fd_, 0) != 0) return ErrnoError("truncate", path_, errno);
  return WriteLine(fd_, path_, "plan " + plan_);
}

Status Journal::Record(uint64_t finished) {
  finished_ = finished;
  return WriteLine(fd_, path_, fmt::format("finished {}", finished));
}

void Journal::Remove() { unlink(path_.c_str()); }

}  // namespace trimma
