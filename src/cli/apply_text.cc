#include "cli/apply_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/stats.h"
#include "base/text.h"
#include "base/units.h"
#include "report/table.h"

namespace trimma {
namespace {

std::string Rate(const std::optional<Speed>& speed, Spread Speed::* phase) {
  if (!speed || ((*speed).*phase).n == 0) return "-";
  const Spread& spread = (*speed).*phase;
  const int digits = spread.median < 100 ? 1 : 0;
  if (spread.n < kFewestForInterval) return fmt::format("{:.{}f}", spread.median, digits);
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", spread.median, digits, spread.low, digits,
                     spread.high, digits);
}

std::string ChangeText(const ServedChange& change) {
  if (!change.ratio) return change.verdict;
  return fmt::format("{}, {:+.0f} % ({:+.0f} to {:+.0f})", change.verdict,
                     100 * (change.ratio->mean - 1), 100 * (change.ratio->low - 1),
                     100 * (change.ratio->high - 1));
}

std::string DescribeFile(const FileChange& change, bool dry_run) {
  if (change.before == change.after)
    return fmt::format("{}: nothing to change\n", SafeText(change.target, 500));
  std::string text = fmt::format("{}{}{}\n", dry_run ? "would write " : "wrote ",
                                 SafeText(change.target, 500), change.before ? "" : " (new)");
  for (const std::string& line : change.summary) text += fmt::format("  {}\n", SafeText(line, 300));
  return text;
}

std::string DescribeMade(const OllamaChange& model, const MadeModel& made) {
  std::string text = fmt::format("loaded in {}", FormatSeconds(made.load_seconds));
  if (made.loaded) {
    text += fmt::format(", {} in memory", FormatBytes(made.loaded->bytes));
    if (made.loaded->gpu_bytes > 0)
      text += fmt::format(" ({} on the GPU)", FormatBytes(made.loaded->gpu_bytes));
    if (made.loaded->context)
      text += fmt::format(", context {}", FormatCount(*made.loaded->context));
  }
  text += "\n";
  if (made.after) {
    TextTable table;
    table.head = {"through Ollama, tok/s", "before", "after", "change"};
    table.rows = {{"Prefill", Rate(made.before, &Speed::prefill_tps),
                   Rate(made.after, &Speed::prefill_tps), ChangeText(made.prefill)},
                  {"Decode", Rate(made.before, &Speed::decode_tps),
                   Rate(made.after, &Speed::decode_tps), ChangeText(made.decode)}};
    text += RenderTable(table);
    text += fmt::format("before: {}\n", SafeText(model.compared_text));
  }
  for (const std::string& note : made.notes) text += fmt::format("{}\n", SafeText(note, 500));
  return text;
}

}  // namespace

std::string DescribeModel(const AppliedText& shown) {
  const OllamaChange& model = *shown.model;
  if (model.nothing_to_do())
    return fmt::format("{} in Ollama: nothing to change\n", SafeText(model.name));
  std::string text = fmt::format("{}{} in Ollama{}\n", shown.dry_run ? "would make " : "made ",
                                 SafeText(model.name), model.before ? "" : " (new)");
  for (const std::string& line : model.summary) text += fmt::format("  {}\n", SafeText(line, 300));
  const uint64_t bytes = shown.made ? shown.made->sent_bytes : model.bytes_to_send();
  text += bytes == 0 ? "  no file is copied: Ollama has the weights\n"
                     : fmt::format("  {} {} to Ollama\n", FormatBytes(bytes),
                                   shown.dry_run ? "would be handed" : "handed");
  for (const std::string& note : model.notes) text += fmt::format("  {}\n", SafeText(note, 500));
  if (shown.made) text += DescribeMade(model, *shown.made);
  return text;
}

Json ModelJson(const AppliedText& shown) {
  const OllamaChange& model = *shown.model;
  Json json = {{"name", model.name},
               {"bytes_to_send", shown.made ? shown.made->sent_bytes : model.bytes_to_send()},
               {"summary", model.summary},
               {"notes", model.notes},
               {"compared_with", model.compared_text},
               {"kept", model.undo.kept.empty() ? Json() : Json(model.undo.kept)},
               {"made", shown.made ? shown.made->ToJson() : Json()}};
  return json;
}

std::string Describe(const AppliedText& shown) {
  std::string text = fmt::format("from {}\n", SafeText(shown.record, 500));
  if (shown.model) text += DescribeModel(shown);
  for (const FileChange& change : shown.files) text += DescribeFile(change, shown.dry_run);
  for (const std::string& note : shown.notes) text += fmt::format("note: {}\n", note);
  if (shown.dry_run) return text;
  for (const std::string& command : shown.activate)
    text += fmt::format("to activate: {}\n", SafeText(command, 1000));
  const bool changed = shown.made || std::any_of(shown.files.begin(), shown.files.end(),
                                                 [](const FileChange& change) {
                                                   return change.before != change.after;
                                                 });
  return text + (changed ? "undo: trimma apply --undo\n" : "");
}

Json ToDocument(const AppliedText& shown) {
  Json list = Json::array();
  if (shown.model) {
    const OllamaChange& model = *shown.model;
    const OllamaShow& after = shown.made ? shown.made->show : model.after;
    list.push_back({{"target", "ollama:" + model.name},
                    {"before", model.before ? Json(DescribeShow(*model.before)) : Json()},
                    {"after", DescribeShow(after)}});
  }
  for (const FileChange& change : shown.files) {
    list.push_back({{"target", change.target},
                    {"before", change.before ? Json(*change.before) : Json()},
                    {"after", change.after}});
  }
  Json document = {{"schema", "trimma.apply/1"},
                   {"record", shown.record},
                   {"changes", list},
                   {"notes", shown.notes},
                   {"undo", "trimma apply --undo"}};
  if (shown.model) document["ollama"] = ModelJson(shown);
  if (!shown.activate.empty()) document["activate"] = shown.activate;
  return document;
}

}  // namespace trimma
