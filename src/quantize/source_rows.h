// The rows of a model's tensors as floats: the one way in which the quantiser reads weights.
#pragma once

#include <cstdint>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "gguf/reader.h"

namespace trimma {

class SourceRows {
 public:
  static Result<SourceRows> Open(const GgufFile& source);

  // [count, n] floats from row `first` on, over all matrices of the tensor. kInvalid where one is
  // not a finite number, with the tensor and the row. Thread-safe.
  Result<std::vector<float>> Read(const TensorInfo& tensor, uint64_t first, uint64_t count) const;

  const std::vector<InputFile>& files() const { return files_; }  // one for each shard

 private:
  explicit SourceRows(std::vector<InputFile> files) : files_(std::move(files)) {}
  std::vector<InputFile> files_;
};

// kInvalid with the first tensor that holds a number that is not finite. Reads the whole file.
Status CheckFinite(const GgufFile& source);

// An error that a model's evaluation ended with: where its numbers were not finite, the tensor they
// come from is named instead.
Error WhichTensor(const GgufFile& source, const Error& error);

}  // namespace trimma
