#include "plan/measured_quality.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hash/hash.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/child.h"
#include "plan/file_hash.h"

namespace trimma {
namespace {

constexpr const char* kSchema = "trimma.quality/1";
// The oldest go when there are more: a plan reads the whole file.
constexpr size_t kMostLosses = 2000;
constexpr size_t kMostFiles = 2000;

std::string Absolute(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  return error ? path : real.string();
}

std::optional<FileStamp> StampOf(const std::string& path) {
  const auto file = InputFile::Open(path);
  if (!file.ok()) return std::nullopt;
  return file->stamp();
}

// Only one process at a time reads, changes and writes the store.
class Lock {
 public:
  static Result<Lock> Take(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return ErrnoError("lock", path, errno);
    while (flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) {
        const int why = errno;
        close(fd);
        return ErrnoError("lock", path, why);
      }
    }
    return Lock(fd);
  }
  Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Lock& operator=(Lock&&) = delete;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (fd_ >= 0) close(fd_);
  }

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_;
};

std::string DigestOf(std::vector<std::pair<std::string_view, TensorType>> tensors) {
  std::sort(tensors.begin(), tensors.end());
  std::string text;
  for (const auto& [name, type] : tensors)
    text += fmt::format("{}\t{}\n", name, static_cast<uint32_t>(type));
  return hash_sha256_hex(text.data(), text.size());
}

Json ToJson(const MeasuredLoss& l) {
  return {{"reference", l.reference}, {"candidate", l.candidate},   {"types", l.types},
          {"recipe", l.recipe},       {"importance", l.importance}, {"kv_k", l.kv_k},
          {"kv_v", l.kv_v},           {"mean_kld", l.mean_kld},     {"low", l.low},
          {"high", l.high},           {"tokens", l.tokens},         {"text", l.text},
          {"share", l.share}};
}

MeasuredLoss LossFromJson(const Json& j) {
  return {j.at("reference"),  j.at("candidate"), j.at("types"),  j.at("recipe"),
          j.at("importance"), j.at("kv_k"),      j.at("kv_v"),   j.at("mean_kld"),
          j.at("low"),        j.at("high"),      j.at("tokens"), j.at("text"),
          j.at("share")};
}

}  // namespace

std::string TypesDigest(const GgufFile& file, const std::vector<TensorType>& types) {
  CHECK(types.size() == file.tensors.size());
  std::vector<std::pair<std::string_view, TensorType>> tensors;
  for (size_t i = 0; i < types.size(); ++i) tensors.emplace_back(file.tensors[i].name, types[i]);
  return DigestOf(std::move(tensors));
}

std::string TypesDigest(const GgufFile& file) {
  std::vector<std::pair<std::string_view, TensorType>> tensors;
  for (const TensorInfo& tensor : file.tensors) tensors.emplace_back(tensor.name, tensor.type);
  return DigestOf(std::move(tensors));
}

// Reading and writing the file, with access to the private parts.
struct QualityStore {
  static MeasuredQualities FromText(const std::string& text) {
    MeasuredQualities store;
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object() || json.value("schema", "") != kSchema) return store;
    try {
      for (const auto& [path, f] : json.at("files").items()) {
        store.files_[path] = {{f.at("bytes"), f.at("mtime_ns"), f.at("device"), f.at("inode")},
                              f.at("sha256")};
      }
      for (const Json& loss : json.at("losses")) store.losses_.push_back(LossFromJson(loss));
    } catch (const nlohmann::json::exception&) {
      return {};
    }
    return store;
  }

  static std::string ToText(const MeasuredQualities& store) {
    Json files = Json::object();
    for (const auto& [path, f] : store.files_) {
      files[path] = {{"bytes", f.stamp.bytes},
                     {"mtime_ns", f.stamp.mtime_ns},
                     {"device", f.stamp.device},
                     {"inode", f.stamp.inode},
                     {"sha256", f.sha256}};
    }
    Json losses = Json::array();
    for (const MeasuredLoss& loss : store.losses_) losses.push_back(ToJson(loss));
    return Json{{"schema", kSchema}, {"files", files}, {"losses", losses}}.dump(
               1, ' ', false, Json::error_handler_t::replace) +
           "\n";
  }

  // Hashes what isn't known yet, and notes it in `found`.
  static Result<std::string> Hash(const GgufFile& file, const MeasuredQualities& known,
                                  std::map<std::string, MeasuredQualities::KnownFile>& found) {
    std::vector<std::string> shards;
    for (const std::string& path : file.paths) {
      const std::string absolute = Absolute(path);
      if (const auto named = HashFromName(absolute)) {
        shards.push_back(*named);
        continue;
      }
      TRY(const InputFile input, InputFile::Open(path));
      const auto seen = known.files_.find(absolute);
      if (seen != known.files_.end() && seen->second.stamp == input.stamp()) {
        shards.push_back(seen->second.sha256);
        continue;
      }
      TRY(const std::string hash, HashFile(input));
      found[absolute] = {input.stamp(), hash};
      shards.push_back(hash);
    }
    return JoinHashes(shards);
  }

  static void Trim(MeasuredQualities& store) {
    if (store.losses_.size() > kMostLosses) {
      store.losses_.erase(store.losses_.begin(),
                          store.losses_.end() - static_cast<std::ptrdiff_t>(kMostLosses));
    }
    // A file that is gone or was changed is of no use; looked for only when there are many.
    if (store.files_.size() <= kMostFiles) return;
    std::erase_if(store.files_,
                  [](const auto& entry) { return StampOf(entry.first) != entry.second.stamp; });
  }
};

std::string MeasuredQualities::DefaultPath() {
  const std::string directory = StateDirectory();
  return directory.empty() ? "" : directory + "/quality.json";
}

MeasuredQualities MeasuredQualities::Load(const std::string& path) {
  if (path.empty()) return {};
  const auto text = ReadSmallFile(path);
  return text.ok() ? QualityStore::FromText(*text) : MeasuredQualities();
}

std::optional<std::string> MeasuredQualities::KnownHash(const GgufFile& file) const {
  std::vector<std::string> shards;
  for (const std::string& path : file.paths) {
    const std::string absolute = Absolute(path);
    if (const auto named = HashFromName(absolute)) {
      shards.push_back(*named);
      continue;
    }
    const auto seen = files_.find(absolute);
    if (seen == files_.end() || StampOf(path) != seen->second.stamp) return std::nullopt;
    shards.push_back(seen->second.sha256);
  }
  if (shards.empty()) return std::nullopt;
  return JoinHashes(shards);
}

void MeasuredQualities::Add(const MeasuredLoss& loss) {
  std::erase_if(losses_, [&](const MeasuredLoss& other) {
    return other.reference == loss.reference && other.types == loss.types &&
           other.importance == loss.importance && other.kv_k == loss.kv_k &&
           other.kv_v == loss.kv_v && other.text == loss.text &&
           (other.candidate == loss.candidate || other.candidate.empty());
  });
  losses_.push_back(loss);
}

Status MeasuredQualities::Keep(MeasuredLoss loss, const GgufFile& reference,
                               const GgufFile* candidate, const std::string& path) {
  if (path.empty()) return {};
  TRY_STATUS(MakeDirectories(std::filesystem::path(path).parent_path().string()));
  // Hashing takes its time and needs no lock.
  std::map<std::string, KnownFile> found;
  const MeasuredQualities before = Load(path);
  TRY(loss.reference, QualityStore::Hash(reference, before, found));
  if (candidate != nullptr) {
    TRY(loss.candidate, QualityStore::Hash(*candidate, before, found));
  }
  TRY(const Lock lock, Lock::Take(path + ".lock"));
  MeasuredQualities now = Load(path);
  for (const auto& [name, file] : found) now.files_[name] = file;
  now.Add(loss);
  QualityStore::Trim(now);
  return WriteFileAtomically(path, QualityStore::ToText(now));
}

}  // namespace trimma
