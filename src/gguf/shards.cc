#include "gguf/shards.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <unordered_set>

#include "base/text.h"

namespace trimma {
namespace {

constexpr const char* kNo = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";

Error Invalid(const GgufFile& file, std::string_view sentence, std::string_view hint = "") {
  return {Code::kInvalid, fmt::format("{}: {}", SafeText(file.paths[0], 4096), sentence),
          std::string(hint)};
}

// Exactly five digits, as gguf-split writes them.
std::optional<uint32_t> FiveDigits(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.size() != 5 || error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

template <typename T>
const T* Typed(const GgufFile& file, const char* key) {
  const Value* value = file.metadata.Find(key);
  return value == nullptr ? nullptr : std::get_if<T>(value);
}

// `file` is shard `index` of a model like `one`.
Status CheckShard(const GgufFile& file, const GgufFile& one, uint32_t index) {
  TRY(const uint32_t count, SplitCount(file));
  if (count != *Typed<uint16_t>(one, kCount)) {
    return Invalid(file,
                   fmt::format("split.count is {}, but {} in {}", count,
                               *Typed<uint16_t>(one, kCount), SafeText(one.paths[0], 4096)),
                   "the shards are of different models; fetch all of one");
  }
  if (*Typed<uint16_t>(file, kNo) != index) {
    return Invalid(file,
                   fmt::format("split.no is {}, but the name says shard {}",
                               *Typed<uint16_t>(file, kNo), index + 1),
                   "the file was renamed, or fetched under a wrong name");
  }
  return {};
}

}  // namespace

std::string ShardName::Path(uint32_t i) const {
  return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, i + 1, count);
}

std::optional<ShardName> ParseShardName(const std::string& path) {
  constexpr std::string_view kForm = "-00001-of-00003.gguf";
  if (path.size() <= kForm.size()) return std::nullopt;
  const size_t begin = path.size() - kForm.size();
  const std::string_view tail = std::string_view(path).substr(begin);
  const std::optional<uint32_t> number = FiveDigits(tail.substr(1, 5));
  const std::optional<uint32_t> count = FiveDigits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf" || !number ||
      !count) {
    return std::nullopt;
  }
  if (*number < 1 || *number > *count) return std::nullopt;
  return ShardName{path.substr(0, begin), *number - 1, *count};
}

Result<uint32_t> SplitCount(const GgufFile& file) {
  if (!file.metadata.Has(kCount)) return 1U;
  const auto* count = Typed<uint16_t>(file, kCount);
  if (count == nullptr) return Invalid(file, "split.count is not of type UINT16");
  if (*count <= 1) return 1U;
  const auto* no = Typed<uint16_t>(file, kNo);
  if (no == nullptr) return Invalid(file, "split.no is absent or not of type UINT16");
  if (*no >= *count)
    return Invalid(file, fmt::format("split.no is {}, but split.count {}", *no, *count));
  const auto* tensors = Typed<int32_t>(file, kTensors);
  if (tensors == nullptr)
    return Invalid(file, "split.tensors.count is absent or not of type INT32");
  if (*tensors < 0 || static_cast<uint64_t>(*tensors) < file.tensors.size()) {
    return Invalid(file,
                   fmt::format("split.tensors.count is {}, but this shard alone has {} tensors",
                               *tensors, file.tensors.size()));
  }
  return uint32_t{*count};
}

Result<GgufFile> ReadShards(GgufFile one, const ReadShard& read) {
  TRY(const uint32_t count, SplitCount(one));
  const std::optional<ShardName> name = ParseShardName(one.paths[0]);
  if (!name || name->count != count) {
    return Invalid(
        one,
        fmt::format("this is shard {} of {}, but its name does not end in -{:05}-of-{:05}.gguf",
                    *Typed<uint16_t>(one, kNo) + 1, count, *Typed<uint16_t>(one, kNo) + 1, count),
        "give all shards the names they had where they came from");
  }
  GgufFile whole;
  std::unordered_set<std::string> names;
  for (uint32_t i = 0; i < count; ++i) {
    Result<GgufFile> shard = i == name->index ? Result<GgufFile>(one) : read(name->Path(i));
    if (!shard.ok() && shard.error().code == Code::kNotFound) {
      return Error{Code::kInvalid,
                   fmt::format("{}, shard {} of {}, is missing", SafeText(name->Path(i), 4096),
                               i + 1, count),
                   "fetch all shards into one folder"};
    }
    if (!shard.ok()) return std::move(shard.error());
    TRY_STATUS(CheckShard(*shard, one, i));
    for (TensorInfo& tensor : shard->tensors) {
      tensor.shard = i;
      if (!names.insert(tensor.name).second) {
        return Invalid(*shard,
                       fmt::format("tensor {} is in another shard too", SafeText(tensor.name)));
      }
    }
    if (i == 0) {
      whole = std::move(*shard);
      continue;
    }
    whole.paths.push_back(shard->paths[0]);
    whole.file_bytes += shard->file_bytes;
    whole.tensors.insert(whole.tensors.end(), std::make_move_iterator(shard->tensors.begin()),
                         std::make_move_iterator(shard->tensors.end()));
  }
  const auto expected = static_cast<uint64_t>(*Typed<int32_t>(whole, kTensors));
  if (whole.tensors.size() != expected) {
    return Invalid(
        whole, fmt::format("split.tensors.count is {}, but the {} shards hold {} tensors", expected,
                           count, whole.tensors.size()));
  }
  return whole;
}

}  // namespace trimma
