// The record in about a dozen lines for a terminal.
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

// On two lines at most.
std::string Wrapped(const char* label, const std::string& text) {
  const size_t room = kLineLength - kLabel;
  std::string line = SafeText(text, text.size());
  if (line.size() <= room) return LabelledLine(label, line);
  const size_t space = line.rfind(' ', room);
  if (space == std::string::npos || space == 0) return LabelledLine(label, Cut(line, room));
  const std::string rest = Cut(line.substr(space + 1), room);
  line.resize(space);
  return LabelledLine(label, line) + LabelledLine("", rest);
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
    summary += Wrapped("why", record.weights_verdict);
  }
  const std::string settings = Difference(record.before.settings, record.after.settings);
  summary += Wrapped("settings", settings.empty() ? "as before" : settings);
  if (!record.files.model.empty()) {
    summary += LabelledLine("model", CutPath(record.files.model, room));
  }
  if (!record.files.report.empty()) {
    summary += LabelledLine("report", CutPath(record.files.report, room));
  }
  return summary;
}

}  // namespace trimma
