#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "gguf/soundness.h"
#include "plan/kv.h"
#include "plan/plan.h"
#include "report/table.h"

namespace trimma {
namespace {

constexpr const char* kLanguages = "quantize.trimma.text.languages";

std::string ShapeText(const TensorInfo& tensor) {
  std::string text;
  for (const uint64_t n : tensor.shape) text += fmt::format("{}{}", text.empty() ? "" : " x ", n);
  return text;
}

std::string TypesText(const GgufFile& file) {
  std::map<TensorType, std::pair<int, uint64_t>> types;
  for (const TensorInfo& tensor : file.tensors) {
    ++types[tensor.type].first;
    types[tensor.type].second += tensor.bytes;
  }
  TextTable table{{"tensor type", "tensors", "bytes"}, {}};
  for (const auto& [type, use] : types)
    table.rows.push_back({NameOf(type), std::to_string(use.first), FormatBytes(use.second)});
  return RenderTable(table);
}

// What the user has, whatever of it the engine reads.
const GgufFile& Stored(const OpenedModel& model) {
  return model.stored ? model.stored->file : model.file;
}

// How the engine reads a file of Ollama's.
std::string ViewText(const OpenedModel& model) {
  if (!model.stored) return "";
  const EngineView& view = model.stored->view;
  std::string text =
      fmt::format("read as          {} of {} parameters, {}\n", SafeText(model.file.architecture()),
                  FormatCount(model.file.parameters()), FormatBytes(model.file.file_bytes));
  for (const std::string& change : view.text.changes)
    text += fmt::format("                 {}\n", SafeText(change, 300));
  if (view.projector_bytes == 0) return text;
  text += fmt::format("projector        {} in the same file{}\n", FormatBytes(view.projector_bytes),
                      view.projector ? "" : ", not read: " + view.no_projector);
  if (!view.projector) return text;
  for (const std::string& change : view.projector->changes)
    text += fmt::format("                 {}\n", SafeText(change, 300));
  return text;
}

Json ViewDocument(const OpenedModel& model) {
  if (!model.stored) return {};
  const EngineView& view = model.stored->view;
  return {{"architecture", model.file.architecture()},
          {"parameters", model.file.parameters()},
          {"bits_per_weight", model.file.bits_per_weight()},
          {"file_bytes", model.file.file_bytes},
          {"changes", view.text.changes},
          {"projector_bytes", view.projector_bytes},
          {"projector_changes", view.projector ? Json(view.projector->changes) : Json()},
          {"no_projector", view.no_projector.empty() ? Json() : Json(view.no_projector)}};
}

std::string Where(const OpenedModel& model) {
  if (model.remote_host.empty()) return SafeText(StoredPath(model), 500);
  return fmt::format("not here: the header was read from {}", SafeText(model.remote_host));
}

std::string Describe(const OpenedModel& model, bool tensors) {
  const GgufFile& file = Stored(model);
  std::string text = fmt::format(
      "{}\n{}{}\n\n", DisplayName(model), Where(model),
      file.paths.size() > 1 ? fmt::format(" and {} more shards", file.paths.size() - 1) : "");
  text += fmt::format("architecture     {}\n", SafeText(file.architecture()));
  text += fmt::format("type             {}, {:.2f} bits per weight\n", TypeLabel(file),
                      file.bits_per_weight());
  text += fmt::format("parameters       {}\n", FormatCount(file.parameters()));
  text += fmt::format("file             {} ({} bytes), GGUF version {}, {} metadata keys\n",
                      FormatBytes(file.file_bytes), file.file_bytes, file.version,
                      file.metadata.entries().size());
  text += fmt::format("trained context  {}\n", TrainedContext(model.file));
  if (const auto kv = KvBytesPerToken(model.file)) {
    text += fmt::format(
        "KV cache         {} per token in f16{}\n", FormatBytes(kv->bytes_per_token),
        kv->window > 0 ? fmt::format(", of which {} only for the last {} tokens (sliding window)",
                                     FormatBytes(kv->windowed_bytes_per_token), kv->window)
                       : "");
  }
  text += ViewText(model);
  if (const auto method = file.metadata.String("quantize.trimma.method")) {
    text += fmt::format("made by          trimma {}: {}\n",
                        SafeText(file.metadata.String("quantize.trimma.version").value_or("?")),
                        SafeText(*method));
  }
  if (const auto hash = file.metadata.String("quantize.trimma.source_sha256"))
    text += fmt::format("made from        SHA-256 {}\n", SafeText(*hash));
  if (const auto dataset = file.metadata.String("quantize.imatrix.dataset"))
    text += fmt::format("calibrated on    {}\n", SafeText(*dataset));
  if (const auto languages = file.metadata.String(kLanguages))
    text += fmt::format("its languages    {}\n", SafeText(Trim(*languages)));
  text += "\n" + TypesText(file);
  if (tensors) {
    TextTable table{{"tensor", "type", "shape", "bytes"}, {}};
    for (const TensorInfo& t : file.tensors)
      table.rows.push_back(
          {SafeText(t.name, 80), NameOf(t.type), ShapeText(t), std::to_string(t.bytes)});
    text += "\n" + RenderTable(table);
  }
  return text;
}

Json TextOrNull(const GgufFile& file, const char* key) {
  const auto text = file.metadata.String(key);
  return text ? Json(std::string(Trim(*text))) : Json();
}

Json ToDocument(const OpenedModel& model) {
  const GgufFile& file = Stored(model);
  Json tensors = Json::array();
  for (const TensorInfo& t : file.tensors) {
    tensors.push_back(
        {{"name", t.name}, {"type", NameOf(t.type)}, {"shape", t.shape}, {"bytes", t.bytes}});
  }
  const auto kv = KvBytesPerToken(model.file);
  return {{"schema", "trimma.inspect/1"},
          {"name", DisplayName(model)},
          {"paths", model.remote_host.empty() ? Json(file.paths) : Json::array()},
          {"header_from", model.remote_host.empty() ? Json() : Json(model.remote_host)},
          {"file_bytes", file.file_bytes},
          {"gguf_version", file.version},
          {"architecture", file.architecture()},
          {"type", TypeLabel(file)},
          {"parameters", file.parameters()},
          {"bits_per_weight", file.bits_per_weight()},
          {"trained_context", TrainedContext(model.file)},
          {"kv_bytes_per_token", kv ? Json(kv->bytes_per_token) : Json()},
          {"made_by", TextOrNull(file, "quantize.trimma.method")},
          {"source_sha256", TextOrNull(file, "quantize.trimma.source_sha256")},
          {"calibration", TextOrNull(file, "quantize.imatrix.dataset")},
          {"calibration_languages", TextOrNull(file, kLanguages)},
          {"kv_window", kv && kv->window > 0 ? Json(kv->window) : Json()},
          {"read_as", ViewDocument(model)},
          {"tensors", tensors}};
}

}  // namespace

Action DefineInspect(CLI::App& app, const Shared& shared) {
  struct Options {
    std::string model;
    bool tensors = false;
    bool insecure = false;
  };
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "A model file or name")->required();
  app.add_flag("--tensors", options->tensors, "List every tensor");
  AddInsecureOption(app, options->insecure);
  return [options, &shared]() -> Status {
    TRY(const OpenedModel model, OpenModelOrHeader(options->model, options->insecure));
    return shared.json ? PrintDocument(ToDocument(model))
                       : PrintText(Describe(model, options->tensors));
  };
}

}  // namespace trimma
