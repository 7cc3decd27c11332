// The record in about ten lines for a terminal.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/comparison.h"
#include "report/page.h"
#include "report/verdict.h"

namespace trimma {
namespace {

constexpr size_t kLineLength = 100;
constexpr size_t kLabel = 9;  // "settings "

// Cut between words where there are any: half a number would be another number.
std::string Cut(std::string_view text, size_t columns) {
  std::string cut = SafeText(text, columns);
  if (cut.size() <= columns) return cut;
  cut = SafeText(text, columns - 4);
  cut.resize(cut.size() - 3);
  const size_t space = cut.rfind(' ');
  if (space != std::string::npos && space > 0) cut.resize(space);
  return cut + " ...";
}

// The end of a path says more than its beginning.
std::string CutPath(const std::string& path, size_t columns) {
  const std::string safe = SafeText(path, path.size());
  if (safe.size() <= columns) return safe;
  size_t begin = safe.size() - (columns - 3);
  while (begin < safe.size() && (static_cast<unsigned char>(safe[begin]) & 0xC0) == 0x80) ++begin;
  return "..." + safe.substr(begin);
}

std::string LabelledLine(const char* label, const std::string& text) {
  return fmt::format("{:<{}}{}\n", label, kLabel, text);
}

std::string TableLine(const ComparisonRow& row) {
  const std::string line = fmt::format("  {:<20} {:>14} {:>14}   {}", row.name, row.before.text,
                                       row.after.text, row.change);
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

void Difference(std::string& text, const char* name, const std::string& before,
                const std::string& after) {
  if (before != after) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, after);
}

std::string SettingsText(const RuntimeSettings& a, const RuntimeSettings& b) {
  const auto number = [](const std::optional<int>& value) {
    return value ? std::to_string(*value) : std::string("default");
  };
  std::string text;
  Difference(text, "context", std::to_string(a.context), std::to_string(b.context));
  Difference(text, "threads", number(a.threads), number(b.threads));
  Difference(text, "prefill threads", number(a.threads_batch), number(b.threads_batch));
  Difference(text, "batch", std::to_string(a.batch), std::to_string(b.batch));
  Difference(text, "ubatch", std::to_string(a.ubatch), std::to_string(b.ubatch));
  Difference(text, "flash attention", NameOf(a.flash_attention), NameOf(b.flash_attention));
  Difference(text, "KV keys", a.kv_k, b.kv_k);
  Difference(text, "KV values", a.kv_v, b.kv_v);
  const auto layers = [&](const RuntimeSettings& s) {
    return s.use_gpu ? number(s.gpu_layers) : std::string("none, GPU left out");
  };
  Difference(text, "GPU layers", layers(a), layers(b));
  return text.empty() ? "as before" : text;
}

}  // namespace

std::string RenderSummary(const OptimizeRecord& record) {
  const std::string types = record.before.type == record.after.type
                                ? record.after.type
                                : record.before.type + " to " + record.after.type;
  std::string summary = Cut(Cut(TitleOf(record), 60) + ": " + types, kLineLength) + "\n";
  summary += TableLine({"", "", {"before", ""}, {"after", ""}, "change", true});
  for (const ComparisonRow& row : CompareOutcomes(record)) {
    if (row.brief) summary += TableLine(row);
  }
  const size_t room = kLineLength - kLabel;
  if (!record.weights_verdict.empty()) {
    summary += LabelledLine("why", Cut(record.weights_verdict, room));
  }
  summary += LabelledLine("settings",
                          Cut(SettingsText(record.before.settings, record.after.settings), room));
  if (!record.files.model.empty()) {
    summary += LabelledLine("model", CutPath(record.files.model, room));
  }
  if (!record.files.report.empty()) {
    summary += LabelledLine("report", CutPath(record.files.report, room));
  }
  return summary;
}

}  // namespace trimma
