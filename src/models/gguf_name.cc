#include "models/gguf_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <regex>

#include "base/text.h"

namespace trimma {
namespace {

constexpr std::string_view kSuffix = ".gguf";
constexpr std::string_view kShardForm = "-00001-of-00002";  // as long as every shard's suffix

std::string_view Stem(std::string_view path) {
  path = FileOf(path);
  if (IsGgufName(path)) path.remove_suffix(kSuffix.size());
  return path;
}

// Five digits; 0 for anything else.
int FiveDigits(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return 0;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<Shard> ShardOfStem(std::string_view stem) {
  if (stem.size() <= kShardForm.size()) return std::nullopt;
  const std::string_view form = stem.substr(stem.size() - kShardForm.size());
  if (form[0] != '-' || form.substr(6, 4) != "-of-") return std::nullopt;
  const Shard shard = {FiveDigits(form.substr(1, 5)), FiveDigits(form.substr(10))};
  if (shard.number < 1 || shard.number > shard.count) return std::nullopt;
  return shard;
}

std::string_view WithoutShard(std::string_view stem) {
  if (ShardOfStem(stem)) stem.remove_suffix(kShardForm.size());
  return stem;
}

}  // namespace

std::string_view FileOf(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string_view FolderOf(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

bool IsGgufName(std::string_view path) {
  return path.size() > kSuffix.size() &&
         ToLower(path.substr(path.size() - kSuffix.size())) == kSuffix;
}

bool IsProjectorName(std::string_view path) {
  return IsGgufName(path) && ToLower(FileOf(path)).find("mmproj") != std::string::npos;
}

bool IsModelName(std::string_view path) {
  if (!IsGgufName(path)) return false;
  const std::string file = ToLower(FileOf(path));
  for (const char* part : {"mmproj", "imatrix"}) {
    if (file.find(part) != std::string::npos) return false;
  }
  for (const char* start : {"mtp-", "eagle3-", "dflash-", "dspark-"}) {
    if (file.starts_with(start)) return false;
  }
  return true;
}

std::string QuantTag(std::string_view path) {
  const std::string_view stem = WithoutShard(Stem(path));
  const size_t separator = stem.find_last_of("-.");
  if (separator == std::string_view::npos) return "";
  std::string tag(stem.substr(separator + 1));
  for (char& c : tag) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  static const std::regex kType(
      "(BF16|F16|F32|F64|I?Q[1-8]_[A-Z0-9_]+|TQ[1-2]_0|MXFP[0-9A-Z_]+|NVFP[0-9A-Z_]+)");
  return tag.size() <= 16 && std::regex_match(tag, kType) ? tag : "";
}

Shard ShardOf(std::string_view path) { return ShardOfStem(Stem(path)).value_or(Shard{}); }

std::vector<std::string> WholeModels(const std::vector<std::string>& files,
                                     std::vector<std::string>& notes) {
  std::vector<std::string> models;
  for (const std::string& file : files) {
    if (!IsModelName(file)) continue;
    const Shard shard = ShardOf(file);
    if (shard.number != 1) continue;
    const std::string base = std::string(FolderOf(file)) + std::string(WithoutShard(Stem(file)));
    int missing = 0;
    for (int i = 2; i <= shard.count && missing == 0; ++i) {
      const std::string other = fmt::format("{}-{:05}-of-{:05}.gguf", base, i, shard.count);
      if (!std::binary_search(files.begin(), files.end(), other)) missing = i;
    }
    if (missing == 0) {
      models.push_back(file);
    } else {
      notes.push_back(
          fmt::format("skipped {}: shard {} of {} is missing", file, missing, shard.count));
    }
  }
  return models;
}

std::string ProjectorFor(const std::string& model, const std::vector<std::string>& files) {
  std::string first;
  for (const std::string& file : files) {
    if (!IsProjectorName(file)) continue;
    if (FolderOf(file) == FolderOf(model)) return file;
    if (first.empty()) first = file;
  }
  return first;
}

}  // namespace trimma
