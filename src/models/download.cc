#include "models/download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/units.h"
#include "models/blob_fetch.h"
#include "models/part_ledger.h"
#include "net/sha256.h"

namespace trimma {
namespace {

constexpr uint64_t kSmall = kMiB;  // fetched in one go, into memory

std::string PartPath(const BlobSource& source, const BlobPlace& place) {
  return fmt::format("{}/{}.part", place.part_folder, source.sha256);
}
std::string LedgerPath(const BlobSource& source, const BlobPlace& place) {
  return fmt::format("{}/{}.parts", place.part_folder, source.sha256);
}

Status CheckSum(const BlobSource& source, const std::string& sum) {
  if (sum == source.sha256) return {};
  return Error{Code::kInvalid,
               fmt::format("what came has SHA-256 {}, {} was announced", sum, source.sha256),
               "it was deleted; the server, or somebody between, is not to be trusted"};
}

Status FetchSmall(const BlobSource& source, const BlobPlace& place,
                  const DownloadOptions& options) {
  std::string body;
  const auto restart = [&]() -> Status {
    body.clear();
    return {};
  };
  const auto take = [&](std::string_view bytes) -> Status {
    body += bytes;
    return {};
  };
  TRY_STATUS(FetchWhole(source, options, restart, take));
  TRY_STATUS(CheckSum(source, Sha256Hex(body)));
  return WriteFileAtomically(place.path, body);
}

// An unfinished file and its journal.
struct Partial {
  std::unique_ptr<PartLedger> ledger;
  OutputFile output;
};

Result<Partial> OpenPartial(const BlobSource& source, const BlobPlace& place) {
  TRY(std::unique_ptr<PartLedger> ledger,
      PartLedger::Open(LedgerPath(source, place), source.bytes));
  OutputFile::Options options;
  options.part_path = PartPath(source, place);
  options.expect_bytes = source.bytes;
  struct stat st{};
  options.resume = lstat(options.part_path.c_str(), &st) == 0 &&
                   static_cast<uint64_t>(st.st_size) == source.bytes;
  if (!options.resume) TRY_STATUS(ledger->Forget());
  Result<OutputFile> output = OutputFile::Create(place.path, options);
  if (!output.ok()) {
    ledger->Remove();
    return output.error();
  }
  return Partial{std::move(ledger), *std::move(output)};
}

// Has the kernel begin to write to the disk what has arrived, so that the flush before the file
// gets its name waits for little.
class Writeback {
 public:
  explicit Writeback(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Writeback() {
    if (fd_ >= 0) close(fd_);
  }
  Writeback(const Writeback&) = delete;
  Writeback& operator=(const Writeback&) = delete;

  void UpTo(uint64_t front) {
    constexpr uint64_t kStep = 8 * kMiB;
    if (fd_ < 0 || front < begun_ + kStep) return;
    // Only a wish: where it is not granted, the flush takes longer.
    (void)sync_file_range(fd_, static_cast<off_t>(begun_), static_cast<off_t>(front - begun_),
                          SYNC_FILE_RANGE_WRITE);
    begun_ = front;
  }

 private:
  int fd_;
  uint64_t begun_ = 0;
};

// Adds up the file from its front, as far as it is written, while the connections write.
class Follower {
 public:
  explicit Follower(const InputFile& file) : file_(file), buffer_(kMiB, '\0') {}
  uint64_t summed() const { return summed_; }

  Status AddUpTo(uint64_t front) {
    while (summed_ < front) {
      TRY_STATUS(CheckInterrupted());
      const uint64_t count = std::min<uint64_t>(buffer_.size(), front - summed_);
      TRY_STATUS(file_.ReadAt(summed_, buffer_.data(), count));
      sum_.Add(std::string_view(buffer_).substr(0, count));
      summed_ += count;
    }
    return {};
  }
  std::string Hex() { return sum_.Hex(); }

 private:
  const InputFile& file_;
  std::string buffer_;
  uint64_t summed_ = 0;
  Sha256 sum_;
};

// The SHA-256, once every byte is there. `location`: nullopt where none is missing.
Result<std::string> FetchRanges(const BlobSource& source, const DownloadOptions& options,
                                std::optional<BlobLocation> location, Partial& partial,
                                const OnFetched& on_fetched) {
  PartLedger& ledger = *partial.ledger;
  const uint64_t kept = ledger.written();
  TRY(const InputFile file, InputFile::Open(partial.output.part_path()));
  Follower follower(file);
  Writeback writeback(partial.output.part_path());
  std::optional<BlobFetch> fetch;
  if (location) fetch.emplace(source, options, *std::move(location), ledger, partial.output);
  while (follower.summed() < source.bytes) {
    // A piece at a time, so that progress is told while a resumed file is read.
    const uint64_t front = ledger.WaitForFront(follower.summed());
    TRY_STATUS(follower.AddUpTo(std::min(front, follower.summed() + 64 * kMiB)));
    writeback.UpTo(follower.summed());
    if (on_fetched) {
      const uint64_t written = ledger.written();
      on_fetched(kept, written - std::min(written, kept));
    }
    if (!fetch) continue;
    if (const std::optional<Error> failure = fetch->failure()) return *failure;
  }
  return follower.Hex();
}

Result<std::string> FetchStream(const BlobSource& source, const DownloadOptions& options,
                                Partial& partial, const OnFetched& on_fetched) {
  uint64_t at = 0;
  std::optional<Sha256> sum;
  const auto restart = [&]() -> Status {
    at = 0;
    sum.emplace();
    return {};
  };
  const auto take = [&](std::string_view bytes) -> Status {
    TRY_STATUS(partial.output.WriteAt(at, bytes.data(), bytes.size()));
    sum->Add(bytes);
    at += bytes.size();
    if (on_fetched) on_fetched(0, at);
    return {};
  };
  TRY_STATUS(partial.ledger->Forget());
  TRY_STATUS(FetchWhole(source, options, restart, take));
  return sum->Hex();
}

// Whatever is missing, by ranges where the server has them.
Result<std::string> Fetch(const BlobSource& source, const DownloadOptions& options,
                          Partial& partial, const OnFetched& on_fetched, Downloaded& result) {
  std::optional<BlobLocation> location;
  if (partial.ledger->written() < source.bytes) {
    TRY(location, Locate(source, options));
  }
  if (!location || location->ranges)
    return FetchRanges(source, options, std::move(location), partial, on_fetched);
  result.kept_bytes = 0;
  result.notes.push_back(
      "the server sends whole files only, so an interrupted download begins anew");
  return FetchStream(source, options, partial, on_fetched);
}

Status FetchAndPublish(const BlobSource& source, const DownloadOptions& options, Partial& partial,
                       const OnFetched& on_fetched, Downloaded& result) {
  TRY(std::string sum, Fetch(source, options, partial, on_fetched, result));
  if (sum != source.sha256 && result.kept_bytes > 0) {
    // Perhaps the power failed while it was written.
    result.notes.push_back("what an interrupted download had left was damaged; fetched afresh");
    result.fetched_bytes = source.bytes - result.kept_bytes;  // in vain
    result.kept_bytes = 0;
    TRY_STATUS(partial.ledger->Forget());
    TRY(sum, Fetch(source, options, partial, on_fetched, result));
  }
  const Status sound = CheckSum(source, sum);
  if (!sound.ok()) {
    TRY_STATUS(partial.ledger->Forget());
    return sound;
  }
  return partial.output.Publish();
}

}  // namespace

// A link there is none of ours.
bool IsThere(const BlobSource& source, const BlobPlace& place) {
  struct stat st{};
  return lstat(place.path.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
         static_cast<uint64_t>(st.st_size) == source.bytes;
}

uint64_t MissingBytes(const BlobSource& source, const BlobPlace& place) {
  if (IsThere(source, place)) return 0;
  // What an unfinished file has reserved already is its own.
  struct stat st{};
  const bool begun = lstat(PartPath(source, place).c_str(), &st) == 0 && S_ISREG(st.st_mode);
  const uint64_t reserved = begun ? static_cast<uint64_t>(st.st_blocks) * 512 : 0;
  return source.bytes - std::min(source.bytes, reserved);
}

Result<Downloaded> Download(const BlobSource& source, const BlobPlace& place,
                            const DownloadOptions& options, const OnFetched& on_fetched) {
  CHECK(IsSha256Hex(source.sha256));
  Downloaded result;
  result.was_there = IsThere(source, place);
  if (result.was_there) return result;
  if (source.bytes <= kSmall) {
    TRY_STATUS(FetchSmall(source, place, options));
    result.fetched_bytes = source.bytes;
    return result;
  }
  TRY(Partial partial, OpenPartial(source, place));
  result.was_there = IsThere(source, place);  // of whoever had the journal before
  result.kept_bytes = partial.ledger->written();
  const Status status = result.was_there
                            ? partial.output.Discard()
                            : FetchAndPublish(source, options, partial, on_fetched, result);
  if (!status.ok() && partial.ledger->written() > 0) return status.error();  // to be gone on with
  if (!status.ok()) (void)partial.output.Discard();
  partial.ledger->Remove();
  if (!status.ok()) return status.error();
  if (!result.was_there) result.fetched_bytes += source.bytes - result.kept_bytes;
  return result;
}

}  // namespace trimma
