#include "quantize/calibration/moments_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "quantize/parallel.h"

namespace trimma {
namespace {

constexpr const char* kType = "moments";
constexpr const char* kWeights = "moments.weights";
constexpr const char* kReaders = "moments.readers";
constexpr const char* kDataset = "moments.dataset";
constexpr const char* kChunks = "moments.chunk_count";
constexpr const char* kChunkTokensKey = "moments.chunk_size";
constexpr const char* kNote = "moments.note";
constexpr std::string_view kMoment = ".moment";
constexpr uint64_t kBufferFloats = 4ULL << 20;

Metadata MetadataOf(const MomentsIndex& index) {
  Strings weights;
  Strings readers;
  for (const auto& [matrix, reader] : index.reads)
    weights.push_back(matrix), readers.push_back(reader);
  Metadata metadata;
  metadata.Set("general.type", std::string(kType));
  metadata.Set(kWeights, Array{std::move(weights)});
  metadata.Set(kReaders, Array{std::move(readers)});
  metadata.Set(kDataset, index.dataset);
  metadata.Set(kChunks, index.chunks);
  metadata.Set(kChunkTokensKey, index.chunk_tokens);
  metadata.Set(kNote, index.note);
  return metadata;
}

Error Damaged(const std::string& path) {
  return {Code::kInvalid, fmt::format("{} holds no second moments", SafeText(path, 300)),
          "delete it and start anew"};
}

// The lower triangle of a square block, diagonal included; and the block of such a triangle, 0 if
// it is none.
uint64_t TriangleOf(uint64_t block) { return block * (block + 1) / 2; }
uint64_t BlockOf(uint64_t triangle) {
  const auto block = static_cast<uint64_t>(std::sqrt(2.0 * static_cast<double>(triangle)));
  return TriangleOf(block) == triangle ? block : 0;
}

constexpr uint64_t kTile = 64;  // rows that are mirrored together: their columns stay in the cache

// Rows [top, bottom) of a symmetric matrix from their part of its packed lower triangle, and the
// columns that they are above the diagonal.
void Unpack(const float* packed, uint64_t top, uint64_t bottom, float* matrix, size_t stride) {
  for (uint64_t row = top; row < bottom; ++row, packed += row)
    std::copy_n(packed, row + 1, matrix + row * stride);
  for (uint64_t left = 0; left < bottom; left += kTile) {
    for (uint64_t row = std::max(top, left); row < bottom; ++row) {
      for (uint64_t column = left; column < std::min(left + kTile, row); ++column)
        matrix[column * stride + row] = matrix[row * stride + column];
    }
  }
}

}  // namespace

uint64_t MomentBytes(const ModelInput& input) { return input.n * input.block * sizeof(float); }

MomentRows RowsOf(const SecondMoment& moment) {
  return [&moment](uint64_t first, uint64_t count, float* to) {
    for (uint64_t row = first; row < first + count; ++row, to += moment.block()) {
      const float* from =
          moment.Matrix(row / moment.block()) + row % moment.block() * moment.stride();
      std::copy_n(from, moment.block(), to);
    }
  };
}

Result<MomentsWriter> MomentsWriter::Create(const std::string& path, const MomentsIndex& index) {
  std::vector<TensorPlan> plans;
  for (const ModelInput& input : index.inputs) {
    for (const char* which : {".moment", ".held_out"})
      plans.push_back({input.reader + which,
                       tensor_type::kF32,
                       {TriangleOf(input.block), input.n / input.block}});
  }
  TRY(GgufLayout layout, LayOutGguf(MetadataOf(index), plans));
  OutputFile::Options options;
  options.expect_bytes = layout.file_bytes;
  TRY(OutputFile output, OutputFile::Create(path, options));
  TRY_STATUS(output.WriteAt(0, layout.header.data(), layout.header.size()));
  return MomentsWriter(std::move(output), std::move(layout), index.inputs);
}

Status MomentsWriter::Write(size_t i, MomentPart part, const MomentRows& rows) {
  const ModelInput& input = inputs_[i];
  uint64_t offset = layout_.offsets[2 * i + (part == MomentPart::kHeldOut ? 1 : 0)];
  const uint64_t step = std::clamp<uint64_t>(kBufferFloats / input.block, 1, input.n);
  std::vector<float> buffer(step * input.block);
  for (uint64_t first = 0; first < input.n; first += step) {
    const uint64_t count = std::min(step, input.n - first);
    rows(first, count, buffer.data());
    float* packed = buffer.data();
    for (uint64_t row = 0; row < count; ++row) {
      const float* from = buffer.data() + row * input.block;
      const uint64_t diagonal = (first + row) % input.block;
      if (!std::isfinite(from[diagonal])) {
        return Error{Code::kInvalid,
                     fmt::format("the inputs of {} are not finite numbers", input.reader),
                     "the model is damaged; fetch it again"};
      }
      std::memmove(packed, from, (diagonal + 1) * sizeof(float));
      packed += diagonal + 1;
    }
    const uint64_t bytes = static_cast<uint64_t>(packed - buffer.data()) * sizeof(float);
    TRY_STATUS(output_.WriteAt(offset, buffer.data(), bytes));
    offset += bytes;
  }
  return {};
}

Result<MomentsFile> MomentsFile::Open(const std::string& path) {
  TRY(GgufFile file, ReadGguf(path));
  if (file.metadata.String("general.type") != kType) return Damaged(path);
  TRY(InputFile input, InputFile::Open(path));
  MomentsFile moments(std::move(file), std::move(input));
  TRY_STATUS(moments.ReadIndex());
  return moments;
}

Status MomentsFile::ReadIndex() {
  const Metadata& metadata = file_.metadata;
  const Array* weights = metadata.FindArray(kWeights);
  const Array* readers = metadata.FindArray(kReaders);
  const auto* names = weights == nullptr ? nullptr : std::get_if<Strings>(&weights->elements);
  const auto* whose = readers == nullptr ? nullptr : std::get_if<Strings>(&readers->elements);
  const auto chunks = metadata.Integer(kChunks);
  const auto tokens = metadata.Integer(kChunkTokensKey);
  if (names == nullptr || whose == nullptr || names->size() != whose->size() || !chunks ||
      !tokens || *chunks < 1 || *tokens < 1 || file_.tensors.size() % 2 != 0) {
    return Damaged(file_.paths[0]);
  }
  for (size_t i = 0; i < names->size(); ++i) index_.reads.emplace((*names)[i], (*whose)[i]);
  index_.dataset = metadata.String(kDataset).value_or("");
  index_.note = metadata.String(kNote).value_or("");
  index_.chunks = static_cast<uint32_t>(*chunks);
  index_.chunk_tokens = static_cast<uint32_t>(*tokens);
  for (size_t t = 0; t < file_.tensors.size(); t += 2) {
    const TensorInfo& tensor = file_.tensors[t];
    const bool sound = tensor.type == tensor_type::kF32 &&
                       (tensor.shape.size() == 1 || tensor.shape.size() == 2) &&
                       BlockOf(tensor.shape[0]) > 0 && tensor.name.ends_with(kMoment) &&
                       tensor.shape == file_.tensors[t + 1].shape &&
                       file_.tensors[t + 1].type == tensor_type::kF32;
    if (!sound) return Damaged(file_.paths[0]);
    const uint64_t block = BlockOf(tensor.shape[0]);
    const uint64_t n = block * (tensor.shape.size() == 2 ? tensor.shape[1] : 1);
    index_.inputs.push_back({tensor.name.substr(0, tensor.name.size() - kMoment.size()), n, block});
  }
  return {};
}

std::optional<size_t> MomentsFile::InputOf(const std::string& matrix) const {
  const auto reader = index_.reads.find(matrix);
  if (reader == index_.reads.end()) return std::nullopt;
  for (size_t i = 0; i < index_.inputs.size(); ++i) {
    if (index_.inputs[i].reader == reader->second) return i;
  }
  return std::nullopt;
}

Result<SecondMoment> MomentsFile::Read(size_t input, size_t which, int threads) const {
  const auto& [reader, n, block] = index_.inputs[input];
  const uint64_t size = block;
  SecondMoment moment(n, size);
  const uint64_t tiles = (size + kTile - 1) / kTile;
  const Status read = ParallelFor(moment.blocks() * tiles, threads, [&](uint64_t i) -> Status {
    const uint64_t top = i % tiles * kTile;
    const uint64_t bottom = std::min(top + kTile, size);
    std::vector<float> packed(TriangleOf(bottom) - TriangleOf(top));
    const uint64_t first = i / tiles * TriangleOf(size) + TriangleOf(top);
    TRY_STATUS(input_.ReadAt(file_.tensors[2 * input + which].offset + first * sizeof(float),
                             packed.data(), packed.size() * sizeof(float)));
    Unpack(packed.data(), top, bottom, moment.MutableMatrix(i / tiles), moment.stride());
    return {};
  });
  if (!read.ok()) return read.error();
  return moment;
}

Result<std::vector<float>> MomentsFile::MeanSquares(size_t input) const {
  TRY(const SecondMoment moment, Moment(input));
  std::vector<float> means = moment.Diagonal();
  const auto tokens = static_cast<float>(uint64_t{index_.chunks} * index_.chunk_tokens);
  for (float& mean : means) mean /= tokens;
  return means;
}

}  // namespace trimma
