#include "models/view_cache.h"

#include <fmt/format.h>
#include <hash/hash.h>

#include <filesystem>

#include "base/file.h"
#include "gguf/view_file.h"

namespace trimma {
namespace {

constexpr size_t kKeyDigits = 32;

// "sha256-<64 hex digits>", as Ollama names its blobs.
std::optional<std::string> DigestOf(const std::string& path) {
  constexpr std::string_view kStart = "sha256-";
  constexpr size_t kDigits = 64;
  const std::string name = std::filesystem::path(path).filename().string();
  if (!name.starts_with(kStart) || name.size() != kStart.size() + kDigits) return std::nullopt;
  const std::string digits = name.substr(kStart.size());
  if (digits.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
  return digits;
}

Result<std::string> KeyOf(const GgufFile& stored) {
  if (stored.paths.size() == 1) {
    if (const auto digest = DigestOf(stored.paths[0]))
      return fmt::format("{}-{}", digest->substr(0, kKeyDigits), stored.file_bytes);
  }
  std::string told;
  for (const std::string& path : stored.paths) {
    TRY(const InputFile file, InputFile::Open(path));
    std::error_code error;
    const auto real = std::filesystem::weakly_canonical(path, error);
    told += fmt::format("{}\n{} {} {} {}\n", error ? path : real.string(), file.bytes(),
                        file.stamp().mtime_ns, file.stamp().device, file.stamp().inode);
  }
  return hash_sha256_hex(told.data(), told.size()).substr(0, kKeyDigits);
}

}  // namespace

Result<std::string> TextViewPath(const GgufFile& stored) {
  const std::string cache = CacheDirectory();
  if (cache.empty()) {
    return Error{Code::kUsage, "there is no place for the copy that the engine reads",
                 "set HOME or XDG_CACHE_HOME"};
  }
  TRY(const std::string key, KeyOf(stored));
  return fmt::format("{}/views/{}-v{}.gguf", cache, key, kEngineViewVersion);
}

std::optional<GgufFile> FindTextView(const GgufFile& stored, const EngineView& view) {
  const auto path = TextViewPath(stored);
  if (!path.ok()) return std::nullopt;
  auto file = ReadGguf(*path);
  const auto expected = HeaderOf(view.text);
  if (!file.ok() || !expected.ok() || file->file_bytes != expected->file_bytes ||
      file->tensors != expected->tensors) {
    return std::nullopt;
  }
  return *std::move(file);
}

Result<GgufFile> WriteTextView(const GgufFile& stored, const EngineView& view,
                               const std::function<void(double)>& progress) {
  TRY(const std::string path, TextViewPath(stored));
  TRY_STATUS(MakeDirectories(std::filesystem::path(path).parent_path().string()));
  TRY_STATUS(WriteView(view.text, path, {true, progress}));
  return ReadGguf(path);
}

}  // namespace trimma
