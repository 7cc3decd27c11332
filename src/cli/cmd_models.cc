#include <fmt/format.h>

#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "gguf/file_type.h"
#include "models/engine_view.h"
#include "models/models.h"
#include "report/table.h"

namespace trimma {
namespace {

Status Models(const Shared& shared) {
  const ModelList list = ListModels(DefaultModelRoots());
  Json items = Json::array();
  TextTable table{{"name", "type", "bits/weight", "size", "projector"}, {}};
  std::vector<std::string> notes = list.notes;
  for (const LocalModel& model : list.items) {
    const auto file = ReadGguf(model.path);
    if (!file.ok()) {
      notes.push_back(fmt::format("{}: {}", model.name, file.error().what));
      continue;
    }
    const bool has_projector = !model.projector_path.empty() || HoldsProjector(*file);
    items.push_back({{"name", model.name},
                     {"path", model.path},
                     {"source", NameOf(model.source)},
                     {"type", TypeLabel(*file)},
                     {"bits_per_weight", file->bits_per_weight()},
                     {"file_bytes", file->file_bytes},
                     {"has_projector", has_projector}});
    table.rows.push_back({SafeText(model.name, 60), TypeLabel(*file),
                          fmt::format("{:.2f}", file->bits_per_weight()),
                          FormatBytes(file->file_bytes), has_projector ? "yes" : ""});
  }
  if (shared.json)
    return PrintDocument({{"schema", "trimma.models/1"}, {"items", items}, {"notes", notes}});
  std::string text = table.rows.empty()
                         ? "no local models found (Ollama, Hugging Face cache, LM Studio)\n"
                         : RenderTable(table);
  for (const std::string& note : notes) text += fmt::format("note: {}\n", SafeText(note, 300));
  return PrintText(text);
}

}  // namespace

Action DefineModels(CLI::App&, const Shared& shared) {
  return [&shared] { return Models(shared); };
}

}  // namespace trimma
