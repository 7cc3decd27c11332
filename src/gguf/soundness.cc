#include "gguf/soundness.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "gguf/shards.h"

namespace trimma {
namespace {

constexpr int64_t kMaxBlocks = 4096;
constexpr int64_t kMaxHeads = 65'536;
constexpr int64_t kMaxEmbedding = int64_t{1} << 24;

std::string NameOf(const GgufFile& file) {
  return file.paths.empty() ? "the file" : SafeText(file.paths[0], 4096);
}

Error Invalid(const GgufFile& file, std::string_view sentence) {
  return {Code::kInvalid, fmt::format("{}: {}", NameOf(file), sentence), ""};
}

Error IsNoModel(const GgufFile& file, std::string_view what, std::string_view hint) {
  return {Code::kInvalid, fmt::format("{} is {}, not a model", NameOf(file), what),
          std::string(hint)};
}

// Files that are GGUF, but something else.
Status CheckKind(const GgufFile& file) {
  const std::string type = file.metadata.String("general.type").value_or("model");
  const std::string architecture = file.architecture();
  if (architecture == "clip" || type == "mmproj") {
    return IsNoModel(file, "a vision projector", "name the language model that lies beside it");
  }
  if (type == "imatrix")
    return IsNoModel(file, "an importance matrix", "pass it as --imatrix to quantize");
  if (type == "adapter")
    return IsNoModel(file, "an adapter (LoRA)", "name the model it belongs to");
  if (architecture == "controlvector") return IsNoModel(file, "a control vector", "");
  if (architecture.empty()) return Invalid(file, "general.architecture is absent or no text");
  if (file.tensors.empty())
    return IsNoModel(file, "a file without tensors", "it holds a vocabulary alone");
  return {};
}

Status CheckAllShardsHere(const GgufFile& file) {
  TRY(const uint32_t shards, SplitCount(file));
  if (shards == 1 || shards == file.paths.size()) return {};
  return Invalid(file, fmt::format("this is one of {} shards", shards));
}

class Shape {
 public:
  explicit Shape(const GgufFile& file) : file_(file), prefix_(file.architecture() + ".") {}

  Status Check() {
    TRY(const int64_t blocks, InRange("block_count", kMaxBlocks));
    TRY_STATUS(InRange("embedding_length", kMaxEmbedding));
    return CheckHeads(static_cast<uint64_t>(blocks));
  }

 private:
  std::string Key(std::string_view key) const { return prefix_ + std::string(key); }
  Error Fault(std::string_view key, std::string_view what) const {
    return Invalid(file_, fmt::format("{} {}", SafeText(Key(key)), what));
  }

  // A required integer from 1 to `limit`.
  Result<int64_t> InRange(std::string_view key, int64_t limit) const {
    const std::optional<int64_t> value = file_.metadata.Integer(Key(key));
    if (!value) return Fault(key, "is absent or no integer");
    if (*value < 1 || *value > limit)
      return Fault(key, fmt::format("is {}, not from 1 to {}", *value, limit));
    return *value;
  }

  // Mamba and RWKV have no attention; their files say 0 heads or nothing.
  bool IsRecurrent() const {
    const auto& entries = file_.metadata.entries();
    return std::any_of(entries.begin(), entries.end(), [&](const Metadata::Entry& entry) {
      return entry.first.starts_with(prefix_ + "ssm.") || entry.first.starts_with(prefix_ + "wkv.");
    });
  }

  // One number a layer; empty if the key is absent.
  Result<std::vector<int64_t>> HeadCounts(std::string_view key, uint64_t blocks) const {
    if (!file_.metadata.Has(Key(key))) return std::vector<int64_t>{};
    const auto counts = file_.metadata.PerLayer(Key(key), blocks);
    if (!counts)
      return Fault(key, fmt::format("is neither an integer nor one for each of {} layers", blocks));
    // In an array, 0 marks a layer without attention; as the only number it is a division by zero.
    const bool zero_allowed = file_.metadata.FindArray(Key(key)) != nullptr || IsRecurrent();
    for (const int64_t count : *counts) {
      if (count < (zero_allowed ? 0 : 1) || count > kMaxHeads)
        return Fault(key, fmt::format("is {}", count));
    }
    return *counts;
  }

  Status CheckHeads(uint64_t blocks) const {
    constexpr std::string_view kHeads = "attention.head_count";
    constexpr std::string_view kKvHeads = "attention.head_count_kv";
    TRY(const std::vector<int64_t> heads, HeadCounts(kHeads, blocks));
    TRY(const std::vector<int64_t> kv_heads, HeadCounts(kKvHeads, blocks));
    if (heads.empty()) return IsRecurrent() ? Status() : Fault(kHeads, "is absent");
    if (!IsRecurrent() &&
        std::all_of(heads.begin(), heads.end(), [](int64_t n) { return n == 0; })) {
      return Fault(kHeads, "is 0 in every layer");
    }
    for (size_t i = 0; i < kv_heads.size(); ++i) {
      if (kv_heads[i] != 0 && heads[i] % kv_heads[i] != 0) {
        return Fault(kKvHeads, fmt::format("is {} in layer {}, which does not divide its {} heads",
                                           kv_heads[i], i, heads[i]));
      }
    }
    return {};
  }

  const GgufFile& file_;
  std::string prefix_;
};

// The arrays of a tokenizer. The engine casts some of them without looking at their type.
class Tokenizer {
 public:
  explicit Tokenizer(const GgufFile& file) : file_(file) {}

  Status Check() {
    constexpr const char* kTokens = "tokenizer.ggml.tokens";
    TRY_STATUS(IsArrayOf<Strings>("tokenizer.ggml.merges"));
    TRY_STATUS(IsArrayOf<Strings>(kTokens));
    TRY_STATUS((IsArrayOf<std::vector<float>, std::vector<int32_t>>("tokenizer.ggml.scores")));
    TRY_STATUS(IsArrayOf<std::vector<int32_t>>("tokenizer.ggml.token_type"));
    TRY_STATUS((IsArrayOf<std::vector<uint8_t>, std::vector<int8_t>>(
        "tokenizer.ggml.precompiled_charsmap")));
    const Array* tokens = file_.metadata.FindArray(kTokens);
    for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
      const Array* array = file_.metadata.FindArray(key);
      const uint64_t expected = tokens == nullptr ? 0 : tokens->size();
      if (array != nullptr && array->size() != expected) {
        return Invalid(file_, fmt::format("{} has {} elements, but there are {} tokens", key,
                                          array->size(), expected));
      }
    }
    return {};
  }

 private:
  template <typename... Ts>
  Status IsArrayOf(const char* key) {
    if (!file_.metadata.Has(key)) return {};
    const Array* array = file_.metadata.FindArray(key);
    const bool fits =
        array != nullptr && !array->is_bool && (std::holds_alternative<Ts>(array->elements) || ...);
    if (!fits) return Invalid(file_, fmt::format("{} has a wrong type", key));
    return {};
  }

  const GgufFile& file_;
};

}  // namespace

Status CheckProjector(const GgufFile& file) {
  if (file.architecture() == "clip" && !file.tensors.empty()) return {};
  return Error{Code::kInvalid, fmt::format("{} is no vision or audio projector", NameOf(file)),
               "name the mmproj file that lies beside the model"};
}

Status CheckModel(const GgufFile& file) {
  TRY_STATUS(CheckKind(file));
  TRY_STATUS(CheckAllShardsHere(file));
  TRY_STATUS(Shape(file).Check());
  return Tokenizer(file).Check();
}

}  // namespace trimma
