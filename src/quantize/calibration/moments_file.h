// Second moments of a model's inputs, on disk between the run that gathers them and those that use
// them: a GGUF whose tensors are READER.moment and READER.held_out. They are symmetric: each is the
// lower triangles of its blocks, row after row, [block * (block + 1) / 2, blocks] floats.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "quantize/rounding/second_moment.h"

namespace trimma {

// An input of the model: the matrix that stands for all that read it, and its shape.
struct ModelInput {
  std::string reader;
  uint64_t n = 0;
  uint64_t block = 0;  // of the moment's diagonal blocks; n: the full matrix
};

struct MomentsIndex {
  std::vector<ModelInput> inputs;
  std::map<std::string, std::string> reads;  // every matrix to its reader
  std::string dataset;                       // what the text was
  uint32_t chunks = 0;                       // of the text, and the tokens of each
  uint32_t chunk_tokens = 0;
  std::string note;  // how they were gathered, where it isn't as one would wish; "" if it is
};

// Memory of one input's moment.
uint64_t MomentBytes(const ModelInput& input);

// The two sums of an input, over different chunks.
enum class MomentPart { kMoment, kHeldOut };

// Gives `count` rows of [n, block] from the `first` on: block after block along the diagonal.
using MomentRows = std::function<void(uint64_t first, uint64_t count, float* to)>;
MomentRows RowsOf(const SecondMoment& moment);  // which outlives them

class MomentsWriter {
 public:
  static Result<MomentsWriter> Create(const std::string& path, const MomentsIndex& index);
  // Of the index's i-th input. Every input's parts are written once. kInvalid where the diagonal
  // isn't finite: the inputs weren't.
  Status Write(size_t i, MomentPart part, const MomentRows& rows);
  Status Publish() { return output_.Publish(); }

 private:
  MomentsWriter(OutputFile output, GgufLayout layout, std::vector<ModelInput> inputs)
      : output_(std::move(output)), layout_(std::move(layout)), inputs_(std::move(inputs)) {}
  OutputFile output_;
  GgufLayout layout_;
  std::vector<ModelInput> inputs_;
};

class MomentsFile {
 public:
  static Result<MomentsFile> Open(const std::string& path);

  const FileStamp& stamp() const { return input_.stamp(); }
  const MomentsIndex& index() const { return index_; }
  // Which input a matrix reads; nullopt if it isn't among them.
  std::optional<size_t> InputOf(const std::string& matrix) const;

  // Hundreds of megabytes where an input is wide: `threads` share the work.
  Result<SecondMoment> Moment(size_t input, int threads = 1) const {
    return Read(input, 0, threads);
  }
  Result<SecondMoment> HeldOut(size_t input, int threads = 1) const {
    return Read(input, 1, threads);
  }
  // [n], mean squares of the input: the diagonal over the tokens.
  Result<std::vector<float>> MeanSquares(size_t input) const;

 private:
  MomentsFile(GgufFile file, InputFile input) : file_(std::move(file)), input_(std::move(input)) {}
  Result<SecondMoment> Read(size_t input, size_t which, int threads) const;
  Status ReadIndex();

  GgufFile file_;
  InputFile input_;
  MomentsIndex index_;
};

}  // namespace trimma
