#include "quantize/pipeline.h"

#include <fmt/format.h>
#include <hash/hash.h>

#include <algorithm>

#include "base/build_info.h"
#include "base/file.h"
#include "base/units.h"
#include "engine/rows.h"
#include "gguf/soundness.h"
#include "quantize/compensated_tensor.h"
#include "quantize/journal.h"
#include "quantize/parallel.h"
#include "quantize/plain_rows.h"
#include "quantize/source_rows.h"
#include "quantize/weighing.h"

namespace trimma {
namespace {

constexpr uint64_t kSafePointBytes = 256ULL << 20;  // synced and journalled at least this often
constexpr uint64_t kCopyBytes = 4ULL << 20;

// Rows of one tensor that one thread converts at a time: within one matrix, within the memory
// budget.
struct Slabs {
  uint64_t rows_per_matrix = 1;
  uint64_t matrices = 1;
  uint64_t rows_per_slab = 1;
  uint64_t slabs_per_matrix() const {
    return (rows_per_matrix + rows_per_slab - 1) / rows_per_slab;
  }
  uint64_t count() const { return slabs_per_matrix() * matrices; }
};

Slabs CutSlabs(const TensorInfo& tensor, TensorType to, uint64_t memory_bytes) {
  Slabs slabs;
  slabs.rows_per_matrix = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  slabs.matrices = tensor.rows() / slabs.rows_per_matrix;
  const uint64_t row_bytes = *RowBytes(tensor.type, tensor.row_length()) +
                             *RowBytes(to, tensor.row_length()) +
                             tensor.row_length() * sizeof(float);
  // Small enough that threads share the work of one tensor, large enough to be worth a read.
  const uint64_t affordable =
      std::max<uint64_t>(1, std::min(memory_bytes, kCopyBytes * 4) / row_bytes);
  slabs.rows_per_slab = std::min(slabs.rows_per_matrix, affordable);
  return slabs;
}

class Conversion {
 public:
  Conversion(const SourceRows& source, OutputFile& output, const Weighing& weighing,
             const PipelineOptions& options)
      : source_(source), output_(output), weighing_(weighing), options_(options) {
    if (options.moments != nullptr && options.compensate)
      compensated_.emplace(*options.moments, options.threads);
  }

  Status Tensor(const TensorInfo& tensor, TensorType to, uint64_t offset) {
    if (to == tensor.type) return Copy(tensor, offset);
    if (compensated_ && compensated_->Handles(tensor, to)) return Compensated(tensor, to, offset);
    PreparePlainRows(to);
    TRY(const std::vector<float> weights, weighing_.Of(tensor.name));
    const uint64_t memory = options_.memory_bytes / static_cast<uint64_t>(options_.threads);
    const Slabs slabs = CutSlabs(tensor, to, memory);
    return ParallelFor(slabs.count(), options_.threads,
                       [&](uint64_t i) { return Slab(tensor, to, offset, weights, slabs, i); });
  }

 private:
  Status Copy(const TensorInfo& tensor, uint64_t offset) {
    const uint64_t pieces = (tensor.bytes + kCopyBytes - 1) / kCopyBytes;
    return ParallelFor(pieces, options_.threads, [&](uint64_t i) -> Status {
      const uint64_t at = i * kCopyBytes;
      std::vector<char> buffer(std::min(kCopyBytes, tensor.bytes - at));
      TRY_STATUS(
          source_.files()[tensor.shard].ReadAt(tensor.offset + at, buffer.data(), buffer.size()));
      return output_.WriteAt(offset + at, buffer.data(), buffer.size());
    });
  }

  Status Slab(const TensorInfo& tensor, TensorType to, uint64_t offset,
              const std::vector<float>& weights, const Slabs& slabs, uint64_t index) {
    const uint64_t matrix = index / slabs.slabs_per_matrix();
    const uint64_t first = index % slabs.slabs_per_matrix() * slabs.rows_per_slab;
    const uint64_t rows = std::min(slabs.rows_per_slab, slabs.rows_per_matrix - first);
    const uint64_t row = matrix * slabs.rows_per_matrix + first;
    const uint64_t n = tensor.row_length();
    const uint64_t to_bytes = *RowBytes(to, n);
    TRY(const std::vector<float> values, source_.Read(tensor, row, rows));
    const float* matrix_weights = nullptr;
    if (!weights.empty()) matrix_weights = weights.data() + (weights.size() > n ? matrix * n : 0);
    std::vector<char> blocks(rows * to_bytes);
    const auto round = options_.exact ? QuantizeExactRows : QuantizePlainRows;
    round(to, values.data(), rows, n, matrix_weights, blocks.data());
    return WriteRows(tensor, to, offset, row, blocks);
  }

  // All threads work on the same slabs together: their rows share the moment's factor. As many
  // slabs as give each thread something to do, within a quarter of the memory.
  Status Compensated(const TensorInfo& tensor, TensorType to, uint64_t offset) {
    constexpr uint64_t kSlab = CompensatedTensors::kSlabRows;
    constexpr uint64_t kThreadsOfASlab = 4;
    const uint64_t bytes = kSlab * tensor.row_length() * 2 * sizeof(float);
    const uint64_t wanted = static_cast<uint64_t>(options_.threads) / kThreadsOfASlab;
    const uint64_t step =
        kSlab * std::max<uint64_t>(1, std::min(wanted, options_.memory_bytes / 4 / bytes));
    for (uint64_t row = 0; row < tensor.rows(); row += step) {
      TRY_STATUS(CheckInterrupted());
      TRY(const std::vector<float> values,
          RowsTogether(tensor, row, std::min(step, tensor.rows() - row)));
      TRY(const std::vector<char> blocks, compensated_->Round(tensor, to, values));
      TRY_STATUS(WriteRows(tensor, to, offset, row, blocks));
    }
    return {};
  }

  // As source_.Read, by all threads.
  Result<std::vector<float>> RowsTogether(const TensorInfo& tensor, uint64_t row,
                                          uint64_t rows) const {
    constexpr uint64_t kPiece = 64;
    const uint64_t n = tensor.row_length();
    std::vector<float> values(rows * n);
    TRY_STATUS(
        ParallelFor((rows + kPiece - 1) / kPiece, options_.threads, [&](uint64_t i) -> Status {
          const uint64_t first = i * kPiece;
          TRY(const std::vector<float> piece,
              source_.Read(tensor, row + first, std::min(kPiece, rows - first)));
          std::copy(piece.begin(), piece.end(), values.begin() + static_cast<ptrdiff_t>(first * n));
          return {};
        }));
    return values;
  }

  Status WriteRows(const TensorInfo& tensor, TensorType to, uint64_t offset, uint64_t row,
                   const std::vector<char>& blocks) {
    if (!RowsAreValid(to, blocks.data(), blocks.size())) {
      return Error{Code::kInvalid,
                   fmt::format("tensor {} has values beyond the range of {} near row {}",
                               tensor.name, NameOf(to), row),
                   "choose a type with a wider range, such as BF16 or Q8_0"};
    }
    return output_.WriteAt(offset + row * *RowBytes(to, tensor.row_length()), blocks.data(),
                           blocks.size());
  }

  const SourceRows& source_;
  OutputFile& output_;
  const Weighing weighing_;
  const PipelineOptions& options_;
  std::optional<CompensatedTensors> compensated_;
};

// Identifies what is being made: the header, the sources as they are now, and the importance data.
std::string PlanHash(const GgufLayout& layout, const std::vector<InputFile>& inputs,
                     const Importance* importance, const PipelineOptions& options) {
  const MomentsFile* moments = options.moments;
  std::string text =
      fmt::format("{} {} {}\n", build_info::kVersion, options.exact, options.compensate);
  text += layout.header;
  for (const InputFile& input : inputs) {
    const FileStamp& s = input.stamp();
    text += fmt::format("\n{} {} {} {}", s.bytes, s.mtime_ns, s.device, s.inode);
  }
  if (importance != nullptr) {
    for (const auto& [name, entry] : importance->entries) {
      text += name;
      text.append(reinterpret_cast<const char*>(entry.sum2.data()),
                  entry.sum2.size() * sizeof(float));
      text.append(reinterpret_cast<const char*>(entry.counts.data()),
                  entry.counts.size() * sizeof(float));
    }
  }
  if (moments != nullptr) {
    const FileStamp& s = moments->stamp();
    text += fmt::format("\n{} {} {} {}", s.bytes, s.mtime_ns, s.device, s.inode);
  }
  return hash_sha256_hex(text.data(), text.size());
}

Status WriteTensors(const GgufFile& source, const Assignment& assignment, const GgufLayout& layout,
                    Conversion& conversion, OutputFile& output, Journal& journal,
                    const std::function<void(double)>& progress);

}  // namespace

const char* NameOf(Rounding rounding) {
  switch (rounding) {
    case Rounding::kKept:
      return "kept";
    case Rounding::kAlike:
      return "alike";
    case Rounding::kWeighed:
      return "weighed";
    case Rounding::kWithCompensation:
      break;
  }
  return "compensated";
}

Rounding RoundingOf(const TensorInfo& tensor, TensorType to, const Importance* importance,
                    const PipelineOptions& options) {
  const MomentsFile* moments = options.moments;
  if (to == tensor.type) return Rounding::kKept;
  if (moments != nullptr && options.compensate &&
      CompensatedTensors(*moments, 1).Handles(tensor, to))
    return Rounding::kWithCompensation;
  const bool weighed = (importance != nullptr && importance->entries.contains(tensor.name)) ||
                       (moments != nullptr && moments->InputOf(tensor.name));
  return weighed ? Rounding::kWeighed : Rounding::kAlike;
}

Status RunPipeline(const GgufFile& source, const Assignment& assignment, const GgufLayout& layout,
                   const Importance* importance, const PipelineOptions& options,
                   const std::function<void(double)>& progress) {
  TRY(const SourceRows rows, SourceRows::Open(source));
  for (const std::string& path : source.paths) {
    if (SameFile(path, options.output)) {
      return Error{Code::kUsage, fmt::format("the output {} is the input", options.output),
                   "choose another output name"};
    }
  }
  const std::string journal_path = options.output + ".trimma-journal";
  TRY(Journal journal,
      Journal::Open(journal_path, PlanHash(layout, rows.files(), importance, options)));
  OutputFile::Options output_options;
  output_options.expect_bytes = layout.file_bytes;
  output_options.replace = options.force;
  output_options.part_path = options.output + ".trimma-part";
  // The part may have been deleted, or cut, since the journal was written.
  const auto part = InputFile::Open(output_options.part_path);
  if (journal.finished() > 0 && (!part.ok() || part->bytes() != layout.file_bytes))
    TRY_STATUS(journal.Restart());
  output_options.resume = journal.finished() > 0;
  auto created = OutputFile::Create(options.output, output_options);
  if (!created.ok()) {
    journal.Remove();
    return created.error();
  }
  OutputFile output = std::move(created).value();
  Conversion conversion(rows, output, {importance, options.moments}, options);
  Status status = WriteTensors(source, assignment, layout, conversion, output, journal, progress);
  if (status.ok()) {
    // What is published has passed the same reader as any foreign file.
    const auto written = ReadGguf(output.part_path());
    if (!written.ok()) {
      status = Error{Code::kInternal,
                     fmt::format("the written file is not sound: {}", written.error().what), ""};
    }
  }
  if (status.ok()) status = output.Publish();
  const bool resumable = !status.ok() && (status.error().code == Code::kInterrupted ||
                                          status.error().code == Code::kTerminated);
  if (resumable) {
    return Error{status.error().code, "interrupted",
                 fmt::format("run the same command again to go on; {} holds what is done",
                             output.part_path())};
  }
  if (!status.ok()) (void)output.Discard();
  journal.Remove();
  return status;
}

namespace {

Status WriteTensors(const GgufFile& source, const Assignment& assignment, const GgufLayout& layout,
                    Conversion& conversion, OutputFile& output, Journal& journal,
                    const std::function<void(double)>& progress) {
  TRY_STATUS(output.WriteAt(0, layout.header.data(), layout.header.size()));
  uint64_t unsynced = 0;
  for (uint64_t i = journal.finished(); i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    const Status status = conversion.Tensor(tensor, assignment.types[i], layout.offsets[i]);
    if (!status.ok()) {
      // Interrupted: what is whole so far is made safe, the tensor at hand is done again.
      if (!CheckInterrupted().ok() && output.Sync().ok()) (void)journal.Record(i);
      return status;
    }
    unsynced += layout.sizes[i];
    if (unsynced >= kSafePointBytes) {
      TRY_STATUS(output.Sync());
      TRY_STATUS(journal.Record(i + 1));
      unsynced = 0;
    }
    progress(static_cast<double>(layout.offsets[i] + layout.sizes[i]) /
             static_cast<double>(layout.file_bytes));
  }
  return {};
}

}  // namespace

}  // namespace trimma
