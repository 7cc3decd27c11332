#include "quantize/quantize.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "gguf/imatrix.h"
#include "gguf/soundness.h"
#include "plan/pricing.h"
#include "quantize/calibration/diagonals.h"
#include "quantize/craft.h"
#include "quantize/learn_from.h"
#include "quantize/made_by.h"
#include "quantize/make_file.h"

namespace trimma {
namespace {

struct Prepared {
  GgufFile source;
  Assignment assignment;
};

// nullptr where all can be made without importance data, else what can't.
const char* WhatNeedsImportance(const QuantizeOptions& options) {
  if (options.recipe->needs_importance) return options.recipe->name;
  for (const TypePattern& forced : options.forced_types) {
    if (NeedsImportance(forced.type)) return NameOf(forced.type);
  }
  return nullptr;
}

Result<Prepared> Prepare(const QuantizeOptions& options) {
  Prepared prepared;
  if (options.source_header) {
    prepared.source = *options.source_header;
  } else {
    TRY(prepared.source, ReadGguf(options.source));
  }
  TRY_STATUS(CheckModel(prepared.source));
  TRY_STATUS(CheckIsNoInput(prepared.source, options.output));
  ForcedTypes forced;
  if (!options.forced_types.empty()) {
    TRY(const auto as_q8_0, AskRecipes(prepared.source, {FindFileType("Q8_0")}));
    TRY(forced, MatchPatterns(options.forced_types, prepared.source, as_q8_0[0]));
  }
  TRY(const auto types, AskRecipes(prepared.source, {options.recipe}, forced.types));
  prepared.assignment = AssignAround(forced, prepared.source, *options.recipe, types[0]);
  return prepared;
}

// How a text's origin is told in importance data of our own: what it was, and what is wrong with
// it. Nothing where somebody else has collected it.
struct Origin {
  std::optional<LearningText> text;
  std::vector<std::string> notes;
};

Origin OriginOf(const Importance& importance) {
  const Json json = Json::parse(importance.origin, nullptr, false);
  Origin origin;
  try {
    origin.text = LearningTextFromJson(json.at("record"));
    origin.notes = json.at("notes").get<std::vector<std::string>>();
    return origin;
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

// What a child has collected, or why it couldn't.
struct Collected {
  std::string dataset;
  std::string unsupported;
};

Result<Collected> CollectInChild(const QuantizeOptions& options, const std::string& path,
                                 const QuantizeProgress& progress) {
  const Json request = {{"model", options.source},
                        {"text", ToJson(TextWanted(options, kChunksForDiagonals))},
                        {"output", path}};
  TRY(const Json result, RunChild("importance", request, [&](const Json& event) {
        if (progress) progress("collecting importance data", event.value("progress", 0.0));
      }));
  return Collected{result.value("text", ""), result.value("unsupported", "")};
}

// Importance data of this run: collected into the output's folder, gone when the run ends.
class Calibration {
 public:
  ~Calibration() {
    // An interrupted run finds it again, or its part would not be of the same plan.
    if (temporary_ && CheckInterrupted().ok()) unlink(path_.c_str());
  }
  std::optional<std::string> path() const {
    return path_.empty() ? std::nullopt : std::optional(path_);
  }
  const std::string& dataset() const { return dataset_; }
  // Why the engine can't evaluate the model; "" where it can.
  const std::string& unsupported() const { return unsupported_; }

  Status Collect(const QuantizeOptions& options, const QuantizeProgress& progress) {
    if (options.importance_file) {
      path_ = *options.importance_file;
      dataset_ = std::filesystem::path(path_).filename().string();
      return {};
    }
    if (!options.calibration_text && !options.generate_text) return {};
    path_ = options.output + ".trimma-imatrix";
    temporary_ = true;
    if (Reusable(options)) return {};
    TRY(const Collected collected, CollectInChild(options, path_, progress));
    dataset_ = collected.dataset;
    unsupported_ = collected.unsupported;
    if (!unsupported_.empty()) path_.clear();
    return {};
  }

 private:
  // Left by an interrupted run of the same source, which has not changed since.
  bool Reusable(const QuantizeOptions& options) {
    if (access((options.output + ".trimma-journal").c_str(), F_OK) != 0) return false;
    const auto source = InputFile::Open(options.source);
    const auto left = InputFile::Open(path_);
    if (!source.ok() || !left.ok() || left->stamp().mtime_ns <= source->stamp().mtime_ns)
      return false;
    const auto importance = ReadImportance(path_);
    if (!importance.ok()) return false;
    dataset_ = importance->datasets.empty() ? "" : importance->datasets[0];
    if (dataset_ != TextNameOf(options)) return false;
    if (!options.calibration_text) return true;
    const auto text = InputFile::Open(*options.calibration_text);
    return text.ok() && left->stamp().mtime_ns > text->stamp().mtime_ns;
  }

  std::string path_;
  std::string dataset_;
  std::string unsupported_;
  bool temporary_ = false;
};

// What the header says of a plain file. Counts of the importance data, which a plan doesn't know
// yet, don't change its size.
std::optional<MadeBy> MadePlainly(const QuantizeOptions& options, const Importance& importance) {
  MadeBy made;
  made.method = options.compensate ? kCompensated
                : options.exact    ? "rounded as llama-quantize does"
                                   : "rounded plainly";
  if (options.compensate) made.source_sha256.assign(64, '0');
  if (options.importance_file) {
    made.dataset = importance.datasets.empty()
                       ? std::filesystem::path(*options.importance_file).filename().string()
                       : importance.datasets[0];
    made.text = OriginOf(importance).text;
  } else if (options.calibration_text || options.generate_text || options.compensate) {
    made.dataset = TextNameOf(options);
    made.text = OriginOf(importance).text.value_or(LearningText{});
  } else {
    return std::nullopt;
  }
  made.chunks = importance.chunk_count;
  made.entries = static_cast<uint32_t>(importance.entries.size());
  return made;
}

Result<GgufLayout> LayOutPlan(const Prepared& prepared, const QuantizeOptions& options) {
  CHECK(options.recipe != nullptr);
  Importance importance;
  if (options.importance_file) {
    TRY(importance, ReadImportance(*options.importance_file));
  }
  return LayOutOutput(prepared.source, prepared.assignment, *options.recipe,
                      MadePlainly(options, importance));
}

}  // namespace

QuantizeReport ReportOf(const GgufFile& source, const Assignment& assignment,
                        const GgufLayout& layout, const std::string& output) {
  QuantizeReport report;
  report.output = output;
  report.file_bytes = layout.file_bytes;
  report.notes = assignment.notes;
  uint64_t bytes = 0;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    report.tensors.push_back({tensor.name, tensor.type, assignment.types[i], layout.sizes[i]});
    bytes += layout.sizes[i];
  }
  report.bits_per_weight =
      8.0 * static_cast<double>(bytes) / static_cast<double>(source.parameters());
  if (!assignment.changes)
    report.notes.emplace_back("no tensor changes: the output would be a copy of the input");
  return report;
}

Status CheckIsNoInput(const GgufFile& source, const std::string& output) {
  for (const std::string& path : source.paths) {
    if (!SameFile(path, output)) continue;
    return Error{Code::kUsage, fmt::format("the output {} is the input", SafeText(output)),
                 "choose another output name"};
  }
  return {};
}

Result<std::string> CollectImportance(const QuantizeOptions& options, const std::string& path,
                                      const QuantizeProgress& progress) {
  TRY(const Collected collected, CollectInChild(options, path, progress));
  if (collected.unsupported.empty()) return collected.dataset;
  return Error{Code::kInvalid,
               fmt::format("{}: the engine can't evaluate this model ({})",
                           SafeText(options.source, 300), collected.unsupported),
               "quantise it without a text"};
}

Result<QuantizeReport> PlanQuantize(const QuantizeOptions& options) {
  TRY(const Prepared prepared, Prepare(options));
  TRY(const GgufLayout layout, LayOutPlan(prepared, options));
  return ReportOf(prepared.source, prepared.assignment, layout, options.output);
}

Result<GgufFile> PlanHeader(const QuantizeOptions& options) {
  TRY(const Prepared prepared, Prepare(options));
  TRY(const GgufLayout layout, LayOutPlan(prepared, options));
  return ParseGguf(layout.header, layout.file_bytes, options.output);
}

Result<QuantizeReport> Quantize(const QuantizeOptions& options, const QuantizeProgress& progress) {
  if (options.recipe == nullptr || options.compensate) return CraftQuantize(options, progress);
  const auto start = std::chrono::steady_clock::now();
  const bool has_importance =
      options.importance_file || options.calibration_text || options.generate_text;
  const char* needs_it = WhatNeedsImportance(options);
  if (needs_it != nullptr && !has_importance) {
    return Error{Code::kUsage, fmt::format("{} can't be made without importance data", needs_it),
                 "give --calibration FILE (a text) or --imatrix FILE"};
  }
  TRY(Prepared prepared, Prepare(options));
  TRY_STATUS(CheckOutput(prepared.source, options));
  Calibration calibration;
  TRY_STATUS(calibration.Collect(options, progress));
  QuantizeOptions known = options;
  if (!calibration.unsupported().empty()) {
    if (needs_it != nullptr) {
      return Error{Code::kUsage,
                   fmt::format("{} can't be made without importance data, and the engine can't "
                               "evaluate this model ({})",
                               needs_it, calibration.unsupported()),
                   "choose a type of more bits"};
    }
    known.calibration_text.reset();
    known.generate_text = false;
    prepared.assignment.notes.push_back(
        fmt::format("the engine can't evaluate this model ({}): all errors weigh alike",
                    calibration.unsupported()));
  }
  Importance importance;
  if (calibration.path()) {
    TRY(importance, ReadImportance(*calibration.path()));
  }
  const std::optional<MadeBy> made_by = MadePlainly(known, importance);
  FileToMake file;
  file.output = options.output;
  file.assignment = &prepared.assignment;
  file.label = options.recipe;
  file.importance = calibration.path();
  file.made_by = made_by;
  file.force = options.force;
  TRY(const Json answer, RunChild("quantize", RequestOf(options, file), [&](const Json& event) {
        if (progress) progress("quantising", event.value("progress", 0.0));
      }));
  TRY(QuantizeReport report, ReportMade(prepared.source, options.output, answer));
  report.notes = prepared.assignment.notes;
  report.importance = calibration.dataset();
  const Origin origin = OriginOf(importance);
  report.text = origin.text;
  report.notes.insert(report.notes.end(), origin.notes.begin(), origin.notes.end());
  const std::string unseen = UnseenExpertsNote(importance);
  if (!unseen.empty()) report.notes.push_back(unseen);
  report.seconds = SecondsSince(start);
  return report;
}

Json ToJson(const QuantizeReport& report) {
  Json tensors = Json::array();
  for (const TensorChange& t : report.tensors) {
    tensors.push_back(
        {{"name", t.name}, {"from", NameOf(t.from)}, {"to", NameOf(t.to)}, {"bytes", t.bytes}});
  }
  return {{"schema", "trimma.quantize/1"},
          {"output", report.output},
          {"file_bytes", report.file_bytes},
          {"bits_per_weight", report.bits_per_weight},
          {"seconds", report.seconds},
          {"budget_bytes", report.budget_bytes ? Json(*report.budget_bytes) : Json()},
          {"speed", report.speed ? Json{{"baseline", report.speed->baseline},
                                        {"decode", report.speed->decode},
                                        {"prefill", report.speed->prefill}}
                                 : Json()},
          {"expected_mean_kld", report.expected_loss ? Json(*report.expected_loss) : Json()},
          {"importance", report.importance.empty() ? Json() : Json(report.importance)},
          {"calibration", report.text ? ToJson(*report.text) : Json()},
          {"notes", report.notes},
          {"rounding", report.rounding.empty() ? Json() : Json(report.rounding)},
          {"tensors", tensors}};
}

}  // namespace trimma
