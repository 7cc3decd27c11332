#include "report/doctor_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace trimma {
namespace {

std::string Plural(size_t n, const char* word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

// Places are as wide as the widest, but a long one pushes only its own line.
size_t WidthOfPlaces(const std::vector<Finding>& findings) {
  constexpr size_t kWidest = 36;
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.where.size());
  return std::min(width, kWidest);
}

std::string FixesText(const FixPlan& fixes) {
  std::string text;
  for (const FileFix& file : fixes.files) {
    if (file.backup.empty()) continue;  // it failed before its turn
    text += fmt::format("changed  {} (the old one is {})\n", SafeText(file.path, 300),
                        SafeText(file.backup, 310));
    for (const std::string& line : file.lines)
      text += fmt::format("         now a comment, line {}\n", SafeText(line, 200));
  }
  for (const std::string& command : fixes.commands)
    text += fmt::format("by hand  {}\n", SafeText(command, 700));
  return text.empty() ? "" : text + "\n";
}

}  // namespace

std::string ToText(const DoctorReport& report) {
  const Diagnosis& diagnosis = report.diagnosis;
  std::string text = report.fixes ? FixesText(*report.fixes) : "";
  const size_t width = WidthOfPlaces(diagnosis.findings);
  for (const Finding& finding : diagnosis.findings) {
    text +=
        fmt::format("{:<8} {:<{}}  {} [{}]\n", NameOf(finding.severity),
                    SafeText(finding.where, 200), width, SafeText(finding.what, 500), finding.id);
    text += fmt::format("         fix   {}\n", SafeText(finding.fix, 600));
    text += fmt::format("         seen  {} [{}]\n", SafeText(finding.evidence, 300),
                        SafeText(finding.source, 200));
  }
  if (!diagnosis.findings.empty()) text += "\n";
  for (const Unknown& unknown : diagnosis.unknown)
    text += fmt::format("unknown  {}: {}\n", unknown.id, SafeText(unknown.why, 300));
  for (const std::string& note : report.notes)
    text += fmt::format("note     {}\n", SafeText(note, 300));
  const auto decided = static_cast<size_t>(diagnosis.rules) - diagnosis.unknown.size();
  text += fmt::format(
      "{} by {} ({} decided, {} unknown)\n",
      diagnosis.findings.empty() ? "nothing found" : Plural(diagnosis.findings.size(), "finding"),
      Plural(static_cast<size_t>(diagnosis.rules), "rule"), decided, diagnosis.unknown.size());
  return text;
}

Json ToJson(const DoctorReport& report) {
  Json findings = Json::array();
  for (const Finding& finding : report.diagnosis.findings) {
    findings.push_back({{"id", finding.id},
                        {"severity", NameOf(finding.severity)},
                        {"where", finding.where},
                        {"what", finding.what},
                        {"evidence", finding.evidence},
                        {"source", finding.source},
                        {"fix", finding.fix}});
  }
  Json unknown = Json::array();
  for (const Unknown& one : report.diagnosis.unknown)
    unknown.push_back({{"id", one.id}, {"why", one.why}});
  Json document = {{"schema", "trimma.doctor/1"},
                   {"findings", findings},
                   {"unknown", unknown},
                   {"rules", report.diagnosis.rules},
                   {"notes", report.notes}};
  if (report.fixes) {
    Json changed = Json::array();
    for (const FileFix& file : report.fixes->files) {
      if (!file.backup.empty())
        changed.push_back({{"target", file.path}, {"lines", file.lines}, {"backup", file.backup}});
    }
    document["changes"] = changed;
    document["commands"] = report.fixes->commands;
  }
  return document;
}

}  // namespace trimma
