#include "gguf/imatrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/text.h"
#include "gguf/reader.h"
#include "gguf/writer.h"

namespace trimma {
namespace {

constexpr const char* kDatasets = "imatrix.datasets";
constexpr const char* kChunkCount = "imatrix.chunk_count";
constexpr const char* kChunkSize = "imatrix.chunk_size";
constexpr const char* kOrigin = "trimma.origin";
constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

Error Invalid(const std::string& path, std::string_view sentence) {
  return {Code::kInvalid, fmt::format("{}: {}", SafeText(path, 4096), sentence), ""};
}

bool IsCountable(float value) { return std::isfinite(value) && value >= 0; }

// What is wrong with an entry; "" if nothing.
std::string FaultOf(const ImportanceEntry& entry) {
  if (entry.columns == 0 || entry.counts.empty()) return "is empty";
  if (entry.sum2.size() / entry.columns != entry.matrices() ||
      entry.sum2.size() % entry.columns != 0) {
    return fmt::format("has {} sums for {} columns of {} matrices", entry.sum2.size(),
                       entry.columns, entry.matrices());
  }
  if (!std::all_of(entry.sum2.begin(), entry.sum2.end(), IsCountable) ||
      !std::all_of(entry.counts.begin(), entry.counts.end(), IsCountable)) {
    return "holds a value that is negative or not finite";
  }
  return "";
}

Result<uint32_t> OptionalCount(const GgufFile& file, const char* key) {
  const Value* value = file.metadata.Find(key);
  if (value == nullptr) return 0U;
  const auto* count = std::get_if<uint32_t>(value);
  if (count == nullptr) return Invalid(file.paths[0], fmt::format("{} is not of type UINT32", key));
  return *count;
}

Result<std::vector<float>> ReadFloats(const InputFile& input, const TensorInfo& tensor) {
  if (tensor.type != tensor_type::kF32) {
    return Invalid(input.path(),
                   fmt::format("{} is {}, not F32", SafeText(tensor.name), NameOf(tensor.type)));
  }
  std::vector<float> values(tensor.elements());
  TRY_STATUS(input.ReadAt(tensor.offset, values.data(), tensor.bytes));
  return values;
}

Status ReadTensor(const InputFile& input, const TensorInfo& tensor, Importance* importance) {
  const std::string_view name = tensor.name;
  if (name.ends_with(kSums)) {
    ImportanceEntry& entry =
        importance->entries[std::string(name.substr(0, name.size() - kSums.size()))];
    entry.columns = tensor.row_length();
    TRY(entry.sum2, ReadFloats(input, tensor));
  } else if (name.ends_with(kCounts)) {
    ImportanceEntry& entry =
        importance->entries[std::string(name.substr(0, name.size() - kCounts.size()))];
    if (tensor.row_length() != 1) {
      return Invalid(input.path(), fmt::format("{} has rows of {}, not of 1", SafeText(name),
                                               tensor.row_length()));
    }
    TRY(entry.counts, ReadFloats(input, tensor));
  } else {
    return Invalid(input.path(), fmt::format("{} is neither sums nor counts", SafeText(name)));
  }
  return {};
}

Metadata MetadataOf(const Importance& importance) {
  Metadata metadata;
  metadata.Set("general.type", std::string("imatrix"));
  Strings datasets;
  for (const std::string& name : importance.datasets) datasets.push_back(name);
  metadata.Set(kDatasets, Array{std::move(datasets)});
  metadata.Set(kChunkCount, importance.chunk_count);
  metadata.Set(kChunkSize, importance.chunk_size);
  if (!importance.origin.empty()) metadata.Set(kOrigin, importance.origin);
  return metadata;
}

Status WriteFloats(OutputFile* output, uint64_t offset, const std::vector<float>& values) {
  return output->WriteAt(offset, values.data(), values.size() * sizeof(float));
}

}  // namespace

std::vector<float> ImportanceEntry::MeanSquares() const {
  std::vector<float> means(sum2.size(), 1.0F);
  for (size_t i = 0; i < means.size(); ++i) {
    const float count = counts[i / columns];
    if (count > 0) means[i] = sum2[i] / count;
  }
  return means;
}

std::vector<float> Importance::MeanSquares(const std::string& name) const {
  const auto found = entries.find(name);
  return found == entries.end() ? std::vector<float>{} : found->second.MeanSquares();
}

Result<Importance> ReadImportance(const std::string& path) {
  TRY(const GgufFile file, ReadGguf(path));
  if (file.metadata.String("general.type") != "imatrix" || file.paths.size() != 1) {
    return Error{Code::kInvalid, fmt::format("{} is no importance matrix", SafeText(path, 4096)),
                 "name a file that llama-imatrix or trimma has written"};
  }
  Importance importance;
  TRY(importance.chunk_count, OptionalCount(file, kChunkCount));
  TRY(importance.chunk_size, OptionalCount(file, kChunkSize));
  if (const Array* datasets = file.metadata.FindArray(kDatasets)) {
    const auto* names = std::get_if<Strings>(&datasets->elements);
    if (names == nullptr)
      return Invalid(path, fmt::format("{} is not an array of text", kDatasets));
    for (const std::string_view name : *names) importance.datasets.emplace_back(name);
  }
  importance.origin = file.metadata.String(kOrigin).value_or("");
  TRY(const InputFile input, InputFile::Open(path));
  for (const TensorInfo& tensor : file.tensors) TRY_STATUS(ReadTensor(input, tensor, &importance));
  if (importance.entries.empty()) return Invalid(path, "the importance matrix has no entries");
  for (const auto& [name, entry] : importance.entries) {
    const std::string fault = FaultOf(entry);
    if (!fault.empty())
      return Invalid(path, fmt::format("the importance of {} {}", SafeText(name), fault));
  }
  return importance;
}

Status WriteImportance(const std::string& path, const Importance& importance) {
  std::vector<TensorPlan> tensors;
  for (const auto& [name, entry] : importance.entries) {
    const std::string fault = FaultOf(entry);
    if (!fault.empty())
      return Invalid(path, fmt::format("the importance of {} {}", SafeText(name), fault));
    tensors.push_back(
        {name + std::string(kSums), tensor_type::kF32, {entry.columns, entry.matrices()}});
    tensors.push_back({name + std::string(kCounts), tensor_type::kF32, {1, entry.matrices()}});
  }
  TRY(const GgufLayout layout, LayOutGguf(MetadataOf(importance), tensors));
  OutputFile::Options options;
  options.expect_bytes = layout.file_bytes;
  TRY(OutputFile output, OutputFile::Create(path, options));
  TRY_STATUS(output.WriteAt(layout.file_bytes - 1, "", 1));  // the last padding
  TRY_STATUS(output.WriteAt(0, layout.header.data(), layout.header.size()));
  size_t next = 0;
  for (const auto& [name, entry] : importance.entries) {
    TRY_STATUS(WriteFloats(&output, layout.offsets[next++], entry.sum2));
    TRY_STATUS(WriteFloats(&output, layout.offsets[next++], entry.counts));
  }
  return output.Publish();
}

}  // namespace trimma
