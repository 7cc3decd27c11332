#include "quantize/workshop.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr const char* kKeyName = "key.json";
constexpr const char* kLockName = "lock";

bool HoldsNothing(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.path().filename() != kLockName) return false;
  }
  return true;
}

void RemoveStages(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.path().filename() != kLockName) std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace

Result<Workshop::Holds> Workshop::Look(const std::string& directory, const std::string& key) {
  const auto known = ReadSmallFile(directory + "/" + kKeyName);
  if (known.ok()) return *known == key ? Holds::kThese : Holds::kOthers;
  if (HoldsNothing(directory)) return Holds::kNothing;
  return Error{Code::kUsage,
               fmt::format("{} holds something else than a workshop", SafeText(directory, 300)),
               "name a folder that is empty, or that --work has made"};
}

Result<Workshop> Workshop::Open(const std::string& directory, const std::string& key) {
  TRY_STATUS(Look(directory, key));
  TRY_STATUS(MakeDirectories(directory));
  const std::string lock_path = directory + "/" + kLockName;
  const int lock = open(lock_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock < 0) return ErrnoError("create", lock_path, errno);
  Workshop workshop(directory, lock);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::kBusy, fmt::format("another process works in {}", SafeText(directory, 300)),
                 "wait for it, or choose another output or --work"};
  }
  const auto known = ReadSmallFile(directory + "/" + kKeyName);
  if (known.ok() && *known == key) return workshop;
  RemoveStages(directory);
  TRY_STATUS(WriteFileAtomically(workshop.Path(kKeyName), key));
  return workshop;
}

Workshop::Workshop(Workshop&& other) noexcept
    : directory_(std::move(other.directory_)), lock_(std::exchange(other.lock_, -1)) {}

Workshop::~Workshop() {
  if (lock_ >= 0) close(lock_);
}

bool Workshop::Has(const std::string& name) const {
  std::error_code ignored;
  return std::filesystem::exists(Path(name), ignored);
}

void Workshop::Remove() const {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace trimma
