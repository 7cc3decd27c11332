// The children's side of quantising: importance collected, the pipeline run.
#include <fmt/format.h>

#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/evaluates.h"
#include "engine/rows.h"
#include "gguf/imatrix.h"
#include "gguf/soundness.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/diagonals.h"
#include "quantize/made_by.h"
#include "quantize/pipeline.h"
#include "quantize/quantize.h"
#include "quantize/source_rows.h"

namespace trimma {
namespace {

Result<std::vector<TensorType>> TypesFromJson(const Json& json) {
  std::vector<TensorType> types;
  for (const Json& id : json) {
    const TypeInfo* info = FindType(id.get<uint32_t>());
    if (info == nullptr)
      return Error{Code::kInternal, "a request names an unknown tensor type", ""};
    types.push_back(info->type);
  }
  return types;
}

// What ggml would end the process for.
Status CheckImportance(const GgufFile& source, const Assignment& assignment,
                       const std::optional<Importance>& importance,
                       const std::optional<MomentsFile>& moments) {
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const std::string& name = source.tensors[i].name;
    if (assignment.types[i] == source.tensors[i].type || !NeedsImportance(assignment.types[i]))
      continue;
    if (importance && importance->entries.contains(name)) continue;
    if (moments && moments->InputOf(name)) continue;
    return Error{Code::kUsage,
                 fmt::format("{} can't be made {}: there is no importance data of it",
                             SafeText(name, 80), NameOf(assignment.types[i])),
                 "choose a type with more bits for it"};
  }
  return {};
}

}  // namespace

Result<Json> ImportanceJob(const Json& request, const Emit& emit) {
  TRY(const GgufFile file, ReadGguf(request.at("model").get<std::string>()));
  TRY_STATUS(CheckModel(file));
  TRY(const Model model, Model::Load(file, {}));
  const TextRequest wanted = TextRequestFromJson(request.at("text"));
  const bool writes = wanted.generate || !wanted.file;
  TRY(const std::string why_not,
      WhyNotEvaluated(model, writes ? Wanted::kPredictions : Wanted::kInputs));
  if (!why_not.empty()) return Json{{"unsupported", why_not}};
  const double head = writes ? 0.5 : 0;
  const auto report = [&](double share) { emit({{"progress", share}}); };
  TRY(const ObtainedText obtained,
      ObtainText(model, wanted, [&](double share) { report(head * share); }));
  const TokenText text = obtained.All();
  auto importance = GatherDiagonals(model, text, ActivationTap::Matrices::kAll,
                                    [&](double share) { report(head + (1 - head) * share); });
  if (!importance.ok()) return WhichTensor(file, importance.error());
  std::vector<std::string> notes = obtained.notes;
  const std::string note = ShortTextNote(text.chunks.size() * text.chunks[0].size());
  if (!note.empty()) notes.push_back(note);
  importance->origin = Json{{"record", ToJson(obtained.record)}, {"notes", notes}}.dump();
  TRY_STATUS(WriteImportance(request.at("output").get<std::string>(), *importance));
  return Json{{"text", text.description}};
}

Result<Json> QuantizeJob(const Json& request, const Emit& emit) {
  TRY_STATUS(StartEngine());
  TRY(const GgufFile source, ReadGguf(request.at("source").get<std::string>()));
  TRY_STATUS(CheckModel(source));
  const FileType* recipe = FindFileType(request.at("recipe").get<std::string>());
  CHECK(recipe != nullptr);
  Assignment assignment;
  TRY(assignment.types, TypesFromJson(request.at("types")));
  CHECK(assignment.types.size() == source.tensors.size());
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    if (assignment.types[i] == source.tensors[i].type) continue;
    assignment.changes = true;
    if (!CanDequantize(source.tensors[i].type) || !CanQuantize(assignment.types[i])) {
      return Error{Code::kInvalid,
                   fmt::format("tensor {} can't be turned from {} into {}", source.tensors[i].name,
                               NameOf(source.tensors[i].type), NameOf(assignment.types[i])),
                   ""};
    }
  }
  std::optional<Importance> importance;
  if (!request.at("importance").is_null()) {
    TRY(importance, ReadImportance(request["importance"].get<std::string>()));
    for (const TensorInfo& tensor : source.tensors) {
      const auto entry = importance->entries.find(tensor.name);
      if (entry == importance->entries.end()) continue;
      const uint64_t matrices = tensor.shape.size() > 2 ? tensor.shape[2] : 1;
      const bool matrices_fit =
          entry->second.matrices() == 1 || entry->second.matrices() == matrices;
      if (entry->second.columns != tensor.row_length() || !matrices_fit) {
        return Error{Code::kInvalid,
                     fmt::format("{}: {} is of another shape ({} x {}) than the model's ({} x {})",
                                 request["importance"].get<std::string>(), tensor.name,
                                 entry->second.columns, entry->second.matrices(),
                                 tensor.row_length(), matrices),
                     "collect importance data from this model"};
      }
    }
  }
  std::optional<MomentsFile> moments;
  if (!request.at("moments").is_null()) {
    TRY(moments, MomentsFile::Open(request["moments"].get<std::string>()));
  }
  TRY_STATUS(CheckImportance(source, assignment, importance, moments));
  std::optional<MadeBy> made_by;
  if (!request.at("metadata").is_null()) made_by = MadeByFromJson(request["metadata"]);
  TRY(const GgufLayout layout, LayOutOutput(source, assignment, *recipe, made_by));
  PipelineOptions options;
  if (moments) options.moments = &*moments;
  options.output = request.at("output");
  options.memory_bytes = request.at("memory_bytes");
  options.threads = request.at("threads");
  if (options.threads <= 0) options.threads = DefaultThreads();
  options.force = request.at("force");
  options.exact = request.at("exact");
  options.compensate = request.at("compensate");
  TRY_STATUS(RunPipeline(source, assignment, layout, importance ? &*importance : nullptr, options,
                         [&](double share) { emit({{"progress", share}}); }));
  Json rounding = Json::array();
  for (size_t i = 0; i < source.tensors.size(); ++i)
    rounding.push_back(NameOf(RoundingOf(source.tensors[i], assignment.types[i],
                                         importance ? &*importance : nullptr, options)));
  return Json{{"file_bytes", layout.file_bytes}, {"rounding", rounding}};
}

}  // namespace trimma
