#include "quantize/calibration/moments_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace trimma {
namespace {

constexpr const char* kType = "moments";
constexpr const char* kWeights = "moments.weights";
constexpr const char* kReaders = "moments.readers";
constexpr const char* kDataset = "moments.dataset";
constexpr const char* kChunks = "moments.chunk_count";
constexpr const char* kChunkTokens = "moments.chunk_size";
constexpr const char* kHeldOutTokens = "moments.held_out_tokens";
constexpr std::string_view kMoment = ".moment";

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
  metadata.Set(kChunkTokens, index.chunk_tokens);
  metadata.Set(kHeldOutTokens, index.held_out_tokens);
  return metadata;
}

Error Damaged(const std::string& path) {
  return {Code::kInvalid, fmt::format("{} holds no second moments", SafeText(path, 300)),
          "delete it and start anew"};
}

}  // namespace

uint64_t MomentBytes(const ModelInput& input) { return input.n * input.block * sizeof(float); }

Result<MomentsWriter> MomentsWriter::Create(const std::string& path, const MomentsIndex& index) {
  std::vector<TensorPlan> plans;
  for (const ModelInput& input : index.inputs) {
    for (const char* which : {".moment", ".held_out"})
      plans.push_back({input.reader + which, tensor_type::kF32, {input.block, input.n}});
  }
  TRY(GgufLayout layout, LayOutGguf(MetadataOf(index), plans));
  OutputFile::Options options;
  options.expect_bytes = layout.file_bytes;
  TRY(OutputFile output, OutputFile::Create(path, options));
  TRY_STATUS(output.WriteAt(0, layout.header.data(), layout.header.size()));
  return MomentsWriter(std::move(output), std::move(layout));
}

Status MomentsWriter::Write(size_t i, const SecondMoment& moment, const SecondMoment& held_out) {
  TRY_STATUS(WriteOne(layout_.offsets[2 * i], moment));
  return WriteOne(layout_.offsets[2 * i + 1], held_out);
}

Status MomentsWriter::WriteOne(uint64_t offset, const SecondMoment& moment) {
  std::vector<float> rows(moment.block() * moment.block());
  for (uint64_t b = 0; b < moment.blocks(); ++b) {
    for (uint64_t row = 0; row < moment.block(); ++row) {
      const float* from = moment.Matrix(b) + row * moment.stride();
      std::copy_n(from, moment.block(), rows.data() + row * moment.block());
    }
    const uint64_t bytes = rows.size() * sizeof(float);
    TRY_STATUS(output_.WriteAt(offset + b * bytes, rows.data(), bytes));
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
  const auto tokens = metadata.Integer(kChunkTokens);
  const auto held_out = metadata.Integer(kHeldOutTokens);
  if (names == nullptr || whose == nullptr || names->size() != whose->size() || !chunks ||
      !tokens || !held_out || *chunks < 1 || *tokens < 1 || file_.tensors.size() % 2 != 0) {
    return Damaged(file_.paths[0]);
  }
  for (size_t i = 0; i < names->size(); ++i) index_.reads.emplace((*names)[i], (*whose)[i]);
  index_.dataset = metadata.String(kDataset).value_or("");
  index_.chunks = static_cast<uint32_t>(*chunks);
  index_.chunk_tokens = static_cast<uint32_t>(*tokens);
  index_.held_out_tokens = static_cast<uint64_t>(*held_out);
  for (size_t t = 0; t < file_.tensors.size(); t += 2) {
    const TensorInfo& tensor = file_.tensors[t];
    const bool sound = tensor.type == tensor_type::kF32 && tensor.shape.size() == 2 &&
                       tensor.shape[1] % tensor.shape[0] == 0 && tensor.name.ends_with(kMoment) &&
                       tensor.shape == file_.tensors[t + 1].shape &&
                       file_.tensors[t + 1].type == tensor_type::kF32;
    if (!sound) return Damaged(file_.paths[0]);
    index_.inputs.push_back({tensor.name.substr(0, tensor.name.size() - kMoment.size()),
                             tensor.shape[1], tensor.shape[0]});
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

Result<SecondMoment> MomentsFile::Read(size_t input, size_t which) const {
  const TensorInfo& tensor = file_.tensors[2 * input + which];
  const uint64_t block = tensor.shape[0];
  SecondMoment moment(tensor.shape[1], block);
  std::vector<float> rows(block * block);
  const uint64_t bytes = rows.size() * sizeof(float);
  for (uint64_t b = 0; b < moment.blocks(); ++b) {
    TRY_STATUS(input_.ReadAt(tensor.offset + b * bytes, rows.data(), bytes));
    for (uint64_t row = 0; row < block; ++row)
      std::copy_n(rows.data() + row * block, block,
                  moment.MutableMatrix(b) + row * moment.stride());
  }
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
