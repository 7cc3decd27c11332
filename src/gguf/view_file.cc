#include "gguf/view_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "base/file.h"
#include "base/half.h"
#include "base/interrupt.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr uint64_t kBlockBytes = 4096;        // of filesystems that share blocks
constexpr uint64_t kCopyBytes = 64ULL << 20;  // between looks at the clock
constexpr uint64_t kWidenElements = 1ULL << 20;

// ggml's Q8_0: a half for the scale, 32 signed bytes.
constexpr uint64_t kQ8Block = 32;
constexpr uint64_t kQ8BlockBytes = 34;

bool CanWiden(TensorType type) {
  return type == tensor_type::kF32 || type == tensor_type::kF16 || type == tensor_type::kBF16 ||
         type == tensor_type::kQ8_0;
}

void Widen(TensorType type, const char* from, uint64_t elements, float* to) {
  if (type == tensor_type::kF32) {
    std::memcpy(to, from, elements * sizeof(float));
  } else if (type == tensor_type::kQ8_0) {
    for (uint64_t block = 0; block < elements / kQ8Block; ++block, from += kQ8BlockBytes) {
      uint16_t half = 0;
      std::memcpy(&half, from, sizeof half);
      const float scale = HalfToFloat(half);
      for (uint64_t i = 0; i < kQ8Block; ++i)
        to[block * kQ8Block + i] =
            scale * static_cast<float>(static_cast<int8_t>(from[sizeof half + i]));
    }
  } else {
    for (uint64_t i = 0; i < elements; ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, from + i * sizeof bits, sizeof bits);
      to[i] = type == tensor_type::kF16 ? HalfToFloat(bits)
                                        : std::bit_cast<float>(uint32_t{bits} << 16);
    }
  }
}

uint64_t ElementsIn(const ViewPiece& piece) {
  const TypeInfo& type = InfoOf(piece.type);
  return piece.bytes / type.block_bytes * type.block;
}

// How far the data has to move so that most of what is copied lies in its blocks as in the source.
uint64_t Shift(const GgufView& view, const GgufLayout& layout) {
  std::map<uint64_t, uint64_t> bytes_by_shift;
  for (size_t i = 0; i < view.tensors.size(); ++i) {
    const ViewTensor& tensor = view.tensors[i];
    if (tensor.pieces.size() != 1 || tensor.pieces[0].type != tensor.plan.type) continue;
    const uint64_t shift = (tensor.pieces[0].offset - layout.offsets[i]) % kBlockBytes;
    bytes_by_shift[shift] += tensor.pieces[0].bytes;
  }
  const auto most =
      std::max_element(bytes_by_shift.begin(), bytes_by_shift.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes_by_shift.end() ? 0 : most->first;
}

class ViewWriter {
 public:
  ViewWriter(const GgufView& view, const GgufLayout& layout, const WriteViewOptions& options)
      : view_(view), layout_(layout), options_(options) {}

  Status Write(const std::string& path) {
    for (const std::string& source : view_.paths) {
      TRY(InputFile input, InputFile::Open(source));
      if (SameFile(source, path)) {
        return Error{Code::kUsage, fmt::format("the output {} is the input", SafeText(path)),
                     "choose another output name"};
      }
      inputs_.push_back(std::move(input));
    }
    OutputFile::Options how;
    how.expect_bytes = layout_.file_bytes;
    how.replace = options_.replace;
    TRY(OutputFile output, OutputFile::Create(path, how));
    TRY_STATUS(output.WriteAt(0, layout_.header.data(), layout_.header.size()));
    for (size_t i = 0; i < view_.tensors.size(); ++i) TRY_STATUS(WriteTensor(i, output));
    TRY_STATUS(EndAsPlanned(output));
    for (const InputFile& input : inputs_) {
      TRY(const InputFile now, InputFile::Open(input.path()));
      if (now.stamp() == input.stamp()) continue;
      return Error{Code::kInvalid,
                   fmt::format("{} was changed meanwhile", SafeText(input.path(), 300)),
                   "run the command again"};
    }
    return output.Publish();
  }

 private:
  Status WriteTensor(size_t i, OutputFile& output) {
    const ViewTensor& tensor = view_.tensors[i];
    uint64_t at = layout_.offsets[i];
    const uint64_t end = at + layout_.sizes[i];
    if (tensor.pieces.empty()) return Fill(output, at, layout_.sizes[i]);
    for (const ViewPiece& piece : tensor.pieces) {
      if (piece.type == tensor.plan.type) {
        TRY_STATUS(Copy(output, at, piece));
        at += piece.bytes;
      } else {
        CHECK(tensor.plan.type == tensor_type::kF32 && CanWiden(piece.type));
        TRY_STATUS(WriteWidened(output, at, piece));
        at += ElementsIn(piece) * sizeof(float);
      }
    }
    CHECK(at == end);
    return {};
  }

  static Status Fill(OutputFile& output, uint64_t at, uint64_t bytes) {
    const std::string zeros(bytes, '\0');
    return output.WriteAt(at, zeros.data(), zeros.size());
  }

  Status Copy(OutputFile& output, uint64_t at, const ViewPiece& piece) {
    for (uint64_t done = 0; done < piece.bytes;) {
      TRY_STATUS(CheckInterrupted());
      // To the end of a block first: from there on whole blocks are copied.
      const uint64_t in_block = (at + done) % kBlockBytes;
      const uint64_t most = in_block == 0 ? kCopyBytes : kBlockBytes - in_block;
      const uint64_t n = std::min(most, piece.bytes - done);
      TRY_STATUS(output.CopyAt(at + done, inputs_[piece.file], piece.offset + done, n));
      done += n;
      Tell(n);
    }
    return {};
  }

  Status WriteWidened(OutputFile& output, uint64_t at, const ViewPiece& piece) {
    const TypeInfo& type = InfoOf(piece.type);
    const uint64_t step = kWidenElements / type.block * type.block_bytes;
    std::vector<char> bytes;
    std::vector<float> floats;
    for (uint64_t done = 0; done < piece.bytes; done += bytes.size()) {
      TRY_STATUS(CheckInterrupted());
      bytes.resize(std::min(step, piece.bytes - done));
      TRY_STATUS(inputs_[piece.file].ReadAt(piece.offset + done, bytes.data(), bytes.size()));
      floats.resize(bytes.size() / type.block_bytes * type.block);
      Widen(piece.type, bytes.data(), floats.size(), floats.data());
      TRY_STATUS(output.WriteAt(at, floats.data(), floats.size() * sizeof(float)));
      at += floats.size() * sizeof(float);
      Tell(floats.size() * sizeof(float));
    }
    return {};
  }

  // The last tensor is padded too; where no disk space was reserved the file is shorter as yet.
  Status EndAsPlanned(OutputFile& output) const {
    if (view_.tensors.empty()) return {};
    const uint64_t end = layout_.offsets.back() + layout_.sizes.back();
    return end < layout_.file_bytes ? Fill(output, end, layout_.file_bytes - end) : Status();
  }

  void Tell(uint64_t bytes) {
    done_ += bytes;
    if (options_.progress)
      options_.progress(static_cast<double>(done_) / static_cast<double>(layout_.file_bytes));
  }

  const GgufView& view_;
  const GgufLayout& layout_;
  const WriteViewOptions& options_;
  std::vector<InputFile> inputs_;
  uint64_t done_ = 0;
};

}  // namespace

Status AlignToSource(GgufView& view) {
  view.metadata.Set(kViewPaddingKey, std::string());
  TRY(const GgufLayout layout, LayOutGguf(view.metadata, PlansOf(view)));
  view.metadata.Set(kViewPaddingKey, std::string(Shift(view, layout), ' '));
  return {};
}

Status WriteView(const GgufView& view, const std::string& path, const WriteViewOptions& options) {
  TRY(const GgufLayout layout, LayOutGguf(view.metadata, PlansOf(view)));
  return ViewWriter(view, layout, options).Write(path);
}

}  // namespace trimma
