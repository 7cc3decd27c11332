// Quantising a file: recipe, importance data, pipeline. Engine work happens in child processes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "gguf/file_type.h"
#include "plan/assignment.h"
#include "quantize/allocation/type_speed.h"
#include "quantize/forced_types.h"

namespace trimma {

// Where a file is to run.
struct FitTarget {
  // Bytes that a mix of types leaves free there; negative: so many too many.
  std::function<Result<int64_t>(const Assignment& mix)> room;
  // Why even the smallest mix doesn't fit, and what would.
  std::function<Error(const Assignment& smallest, int64_t room)> refusal;
};

// To run no slower than llama.cpp's own file of the same size (fast_types.h).
struct SpeedWish {
  SpeedTarget target;
  const FileType* baseline =
      nullptr;  // whose file; nullptr: the largest recipe's that is no larger
};

// Predicted speeds of a file, as shares of a baseline's.
struct SpeedBeside {
  std::string baseline;  // the recipe
  double decode = 0;
  double prefill = 0;
};

struct QuantizeOptions {
  std::string source;
  // Its header, for plans of a file that isn't written yet; nullptr: read from it.
  std::shared_ptr<const GgufFile> source_header;
  std::string output;
  // What to make: a recipe's types, or else types allocated to one of these.
  const FileType* recipe = nullptr;
  std::optional<uint64_t> size_bytes;           // of the whole file, at most
  std::optional<double> max_loss;               // expected KL divergence, nats a token, at most
  std::optional<SpeedWish> speed;               // with size_bytes or fit
  std::optional<FitTarget> fit;                 // as large as fits
  std::vector<TypePattern> forced_types;        // types of some tensors, whatever the rest says
  int exchanges = 0;                            // tried at most after allocating to a size
  bool compensate = false;                      // errors make up for each other
  bool exact = false;                           // with a recipe: the bytes of llama-quantize
  std::optional<std::string> recipe_file;       // types are replayed from it, or kept in it
  std::optional<std::string> importance_file;   // an imatrix GGUF
  std::optional<std::string> calibration_text;  // or: a text to learn from in this run,
  bool generate_text = false;                   // and, or: text that the model writes itself
  double generate_seconds = 20;                 //          in at most so much time
  std::optional<std::string> work_directory;    // kept, for more files of the same source; nullopt:
                                                // OUTPUT.trimma-work, gone when the file is made
  uint64_t memory_bytes = 1ULL << 30;           // for buffers of rows
  int threads = 0;                              // 0: all cores
  bool force = false;                           // replace an existing output
};

struct TensorChange {
  std::string name;
  TensorType from{}, to{};
  uint64_t bytes = 0;
};

struct QuantizeReport {
  std::string output;
  uint64_t file_bytes = 0;
  double bits_per_weight = 0;
  double seconds = 0;
  std::vector<TensorChange> tensors;
  std::vector<std::string> notes;
  // Once it is made: names of the tensors that were "kept", and whose errors weighed "alike", were
  // "weighed" or "compensated".
  std::map<std::string, std::vector<std::string>> rounding;
  std::optional<double> expected_loss;   // nats a token, where types were allocated
  std::optional<SpeedBeside> speed;      // likewise, with options.speed
  std::optional<uint64_t> budget_bytes;  // for the file, likewise: given, or found to fit
  std::string importance;                // what the errors were weighed with; "" for none
  std::optional<LearningText> text;      // the same in detail, where it is known
};

// Stage and share done, for a progress line.
using QuantizeProgress = std::function<void(const std::string& stage, double share)>;

// What would be made by a recipe: types, bytes, notes. Exact; nothing is written. What is made to
// measure: craft_plan.h.
Result<QuantizeReport> PlanQuantize(const QuantizeOptions& options);

// The header of the file that PlanQuantize tells of.
Result<GgufFile> PlanHeader(const QuantizeOptions& options);

// What a file will be, from its layout.
QuantizeReport ReportOf(const GgufFile& source, const Assignment& assignment,
                        const GgufLayout& layout, const std::string& output);

// kUsage where the output is one of the source's files.
Status CheckIsNoInput(const GgufFile& source, const std::string& output);

// Collects importance data of options.source from options.calibration_text, or from text the model
// generates, into an imatrix GGUF at `path`. Returns what the text was.
Result<std::string> CollectImportance(const QuantizeOptions& options, const std::string& path,
                                      const QuantizeProgress& progress = {});

// Makes it. Without a recipe, or where errors are to make up for each other, see craft.h. An
// interrupted run leaves OUTPUT.trimma-part and .trimma-journal, and the same call goes on from
// there; the destination appears complete or not at all.
Result<QuantizeReport> Quantize(const QuantizeOptions& options,
                                const QuantizeProgress& progress = {});

// The children's side.
Result<Json> ImportanceJob(const Json& request, const Emit& emit);
Result<Json> QuantizeJob(const Json& request, const Emit& emit);

Json ToJson(const QuantizeReport& report);

}  // namespace trimma
