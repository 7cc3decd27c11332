#include "models/part_ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <numeric>

#include "base/file.h"
#include "base/units.h"

namespace trimma {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the journal's counters are written as they are");

constexpr size_t kHeadBytes = 64;

// Large enough for a server to get going, small enough that the last ones end together.
uint64_t PartBytes(uint64_t bytes) {
  const uint64_t share = (bytes / 64 + kMiB - 1) / kMiB * kMiB;
  return std::clamp(share, 8 * kMiB, 256 * kMiB);
}

std::array<char, kHeadBytes> Head(uint64_t bytes, uint64_t part_bytes) {
  std::array<char, kHeadBytes> head{};
  head.fill(' ');
  const std::string text = fmt::format("trimma-parts 1 {} {}", bytes, part_bytes);
  std::copy(text.begin(), text.end(), head.begin());
  head.back() = '\n';
  return head;
}

bool ReadAll(int fd, void* to, size_t bytes, off_t offset) {
  return pread(fd, to, bytes, offset) == static_cast<ssize_t>(bytes);
}

bool WriteAll(int fd, const void* from, size_t bytes, off_t offset) {
  return pwrite(fd, from, bytes, offset) == static_cast<ssize_t>(bytes);
}

}  // namespace

PartLedger::PartLedger(std::string path, int fd, uint64_t bytes)
    : path_(std::move(path)),
      fd_(fd),
      bytes_(bytes),
      part_bytes_(PartBytes(bytes)),
      done_((bytes + part_bytes_ - 1) / part_bytes_),
      claimed_(done_.size()) {}

PartLedger::~PartLedger() { close(fd_); }

namespace {

// Whoever had the lock before removes the file when it is done: what is locked then has no name,
// and another process may lock the file that has it since.
bool StillHasItsName(const std::string& path, int fd) {
  struct stat held{};
  struct stat named{};
  return fstat(fd, &held) == 0 && lstat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

}  // namespace

Result<std::unique_ptr<PartLedger>> PartLedger::Open(const std::string& path, uint64_t bytes) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    TRY(std::unique_ptr<PartLedger> ledger, Lock(path, bytes));
    if (!StillHasItsName(path, ledger->fd_)) continue;
    if (!ledger->Restore()) TRY_STATUS(ledger->Forget());
    return ledger;
  }
  return Error{Code::kBusy, fmt::format("{} is replaced again and again", path), "try again"};
}

Result<std::unique_ptr<PartLedger>> PartLedger::Lock(const std::string& path, uint64_t bytes) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (fd < 0) return ErrnoError("open", path, errno);
  // Own before anything can fail.
  std::unique_ptr<PartLedger> ledger(new PartLedger(path, fd, bytes));
  struct stat st{};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    return Error{Code::kInvalid, fmt::format("{} is not a regular file", path), "remove it"};
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::kBusy, "another process is fetching the same file",
                 "wait until it is done; what it fetches is then here too"};
  }
  return ledger;
}

bool PartLedger::Restore() {
  std::array<char, kHeadBytes> head{};
  if (!ReadAll(fd_, head.data(), head.size(), 0) || head != Head(bytes_, part_bytes_)) return false;
  const size_t size = done_.size() * sizeof(uint64_t);
  if (!ReadAll(fd_, done_.data(), size, kHeadBytes)) return false;
  for (size_t i = 0; i < done_.size(); ++i) {
    if (done_[i] > SizeOf(i)) return false;
  }
  written_ = std::accumulate(done_.begin(), done_.end(), uint64_t{0});
  return true;
}

Status PartLedger::Forget() {
  std::fill(done_.begin(), done_.end(), 0);
  std::fill(claimed_.begin(), claimed_.end(), false);
  written_ = 0;
  first_open_ = 0;
  const auto head = Head(bytes_, part_bytes_);
  const bool written = ftruncate(fd_, 0) == 0 && WriteAll(fd_, head.data(), head.size(), 0) &&
                       WriteAll(fd_, done_.data(), done_.size() * sizeof(uint64_t), kHeadBytes);
  if (!written) return ErrnoError("write", path_, errno);
  return {};
}

uint64_t PartLedger::SizeOf(size_t part) const {
  return std::min(part_bytes_, bytes_ - part * part_bytes_);
}

std::optional<PartLedger::Part> PartLedger::Claim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < done_.size(); ++i) {
    if (claimed_[i] || done_[i] == SizeOf(i)) continue;
    claimed_[i] = true;
    return Part{i, i * part_bytes_ + done_[i], SizeOf(i) - done_[i]};
  }
  return std::nullopt;
}

Status PartLedger::Add(const Part& part, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t& done = done_[part.index];
  CHECK(bytes <= SizeOf(part.index) - done);
  done += bytes;
  written_ += bytes;
  const auto at = static_cast<off_t>(kHeadBytes + part.index * sizeof(uint64_t));
  if (!WriteAll(fd_, &done, sizeof done, at)) return ErrnoError("write", path_, errno);
  if (part.index == first_open_) moved_.notify_one();
  return {};
}

uint64_t PartLedger::written() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return written_;
}

uint64_t PartLedger::FrontLocked() const {
  while (first_open_ < done_.size() && done_[first_open_] == SizeOf(first_open_)) ++first_open_;
  return first_open_ == done_.size() ? bytes_ : first_open_ * part_bytes_ + done_[first_open_];
}

uint64_t PartLedger::front() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return FrontLocked();
}

uint64_t PartLedger::WaitForFront(uint64_t front) {
  std::unique_lock<std::mutex> lock(mutex_);
  moved_.wait_for(lock, std::chrono::milliseconds(100), [&] { return FrontLocked() > front; });
  return FrontLocked();
}

void PartLedger::Remove() { unlink(path_.c_str()); }

}  // namespace trimma
