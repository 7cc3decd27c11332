#include "gguf/reader.h"

#include "base/file.h"
#include "gguf/cursor.h"
#include "gguf/parse.h"
#include "gguf/shards.h"

namespace trimma {

uint64_t TensorInfo::elements() const {
  uint64_t product = 1;
  for (const uint64_t dimension : shape) product *= dimension;  // the reader has bounded it
  return product;
}

std::string GgufFile::architecture() const {
  return metadata.String("general.architecture").value_or("");
}

uint64_t GgufFile::parameters() const {
  uint64_t sum = 0;
  for (const TensorInfo& tensor : tensors) sum += tensor.elements();
  return sum;
}

double GgufFile::bits_per_weight() const {
  const uint64_t weights = parameters();
  if (weights == 0) return 0;
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : tensors) bytes += tensor.bytes;
  return static_cast<double>(bytes) * 8 / static_cast<double>(weights);
}

const TensorInfo* GgufFile::FindTensor(std::string_view name) const {
  for (const TensorInfo& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

Result<GgufFile> ReadOneFile(const std::string& path) {
  TRY(const InputFile input, InputFile::Open(path));
  HeaderCursor cursor(input);
  TRY(GgufFile file, ParseHeader(cursor));
  file.paths = {path};
  return file;
}

Result<GgufFile> ReadGguf(const std::string& path) {
  TRY(GgufFile file, ReadOneFile(path));
  TRY(const uint32_t shards, SplitCount(file));
  if (shards == 1) return file;
  return ReadShards(std::move(file));
}

Result<GgufFile> ParseGguf(std::string_view head, uint64_t file_bytes, const std::string& name) {
  HeaderCursor cursor(name, head, file_bytes);
  TRY(GgufFile file, ParseHeader(cursor));
  file.paths = {name};
  TRY_STATUS(SplitCount(file));
  return file;
}

Result<std::optional<GgufFile>> ParseGrowingGguf(std::string_view head, uint64_t file_bytes,
                                                 const std::string& name) {
  HeaderCursor cursor(name, head, file_bytes);
  Result<GgufFile> file = ParseHeader(cursor);
  if (!file.ok() && cursor.wants_more()) return std::optional<GgufFile>();
  if (!file.ok()) return file.error();
  file->paths = {name};
  TRY_STATUS(SplitCount(*file));
  return std::optional<GgufFile>(*std::move(file));
}

}  // namespace trimma
