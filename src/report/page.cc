#include "report/page.h"

#include <fmt/format.h>

#include "report/html.h"
#include "report/page_parts.h"
#include "report/page_sections.h"
#include "report/page_style.h"
#include "report/verdict.h"

namespace trimma {
namespace {

constexpr size_t kTitleBytes = 90;  // a tab or a bookmark shows no more
constexpr size_t kHeadingBytes = 160;

// Nothing may be loaded and nothing may run, whatever a record's strings contain.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'";

std::string Head(const OptimizeRecord& record) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<title>{}: trimma report</title>\n<style>{}</style>\n</head>\n",
      kPolicy, Html(TitleOf(record), kTitleBytes), kPageStyle);
}

std::string Heading(const OptimizeRecord& record) {
  const std::string types = record.before.type == record.after.type
                                ? record.after.type
                                : record.before.type + " to " + record.after.type;
  const std::string machine =
      record.machine.cpu.name.empty() ? "this machine" : record.machine.cpu.name;
  return fmt::format("<header>\n<h1>{}{}{}</h1>\n{}{}</header>\n",
                     Html(TitleOf(record), kHeadingBytes), types.empty() ? "" : ": ", Html(types),
                     Paragraph(Verdict(record), "lead"),
                     Paragraph(fmt::format("Measured on {}{}{}.", machine,
                                           record.created.empty() ? "" : ", ", record.created),
                               "muted"));
}

}  // namespace

std::string RenderPage(const OptimizeRecord& record) {
  std::string page = Head(record) + "<body>\n" + Heading(record) + "<main>\n";
  page += ComparisonSection(record);
  page += ReasonsSection(record);
  page += TradeOffSection(record);
  page += MemorySection(record);
  page += SettingsSection(record);
  page += FilesSection(record);
  page += TrialsSection(record);
  page += MachineSection(record);
  page += MethodSection(record);
  page += NotesSection(record);
  page += TimeSection(record);
  page += "</main>\n<footer>Made by trimma " + Html(record.trimma_version) +
          ". This page is one file; it loads nothing and sends nothing.</footer>\n";
  return page + "</body>\n</html>\n";
}

}  // namespace trimma
