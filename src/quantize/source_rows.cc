#include "quantize/source_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "base/text.h"
#include "engine/rows.h"

namespace trimma {
namespace {

constexpr uint64_t kFloatsAtOnce = 1 << 20;

}  // namespace

Result<SourceRows> SourceRows::Open(const GgufFile& source) {
  std::vector<InputFile> files;
  for (const std::string& path : source.paths) {
    TRY(InputFile file, InputFile::Open(path));
    files.push_back(std::move(file));
  }
  return SourceRows(std::move(files));
}

Result<std::vector<float>> SourceRows::Read(const TensorInfo& tensor, uint64_t first,
                                            uint64_t count) const {
  const uint64_t n = tensor.row_length();
  const uint64_t row_bytes = *RowBytes(tensor.type, n);
  std::vector<char> raw(count * row_bytes);
  TRY_STATUS(
      files_[tensor.shard].ReadAt(tensor.offset + first * row_bytes, raw.data(), raw.size()));
  std::vector<float> values(count * n);
  DequantizeRows(tensor.type, raw.data(), count, n, values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return Error{Code::kInvalid,
                 fmt::format("tensor {} holds {} in row {}", SafeText(tensor.name, 80), values[i],
                             first + i / n),
                 "the model is damaged; fetch it again"};
  }
  return values;
}

Status CheckFinite(const GgufFile& source) {
  TRY(const SourceRows rows, SourceRows::Open(source));
  for (const TensorInfo& tensor : source.tensors) {
    if (!CanDequantize(tensor.type)) continue;
    PrepareRows(tensor.type);
    const uint64_t at_once = std::max<uint64_t>(1, kFloatsAtOnce / tensor.row_length());
    for (uint64_t row = 0; row < tensor.rows(); row += at_once) {
      TRY_STATUS(CheckInterrupted());
      TRY_STATUS(rows.Read(tensor, row, std::min(at_once, tensor.rows() - row)));
    }
  }
  return {};
}

Error WhichTensor(const GgufFile& source, const Error& error) {
  if (error.code != Code::kInvalid) return error;
  const Status finite = CheckFinite(source);
  return finite.ok() ? error : finite.error();
}

}  // namespace trimma
