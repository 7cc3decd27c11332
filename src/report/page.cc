#include "report/page.h"

#include <fmt/format.h>

#include "report/html.h"
#include "report/page_parts.h"
#include "report/page_sections.h"
#include "report/verdict.h"

namespace trimma {
namespace {

constexpr size_t kHeadingBytes = 160;

std::string Heading(const OptimizeRecord& record) {
  const std::string types = record.before.type == record.after.type
                                ? record.after.type
                                : record.before.type + " to " + record.after.type;
  const std::string machine =
      record.machine.cpu.name.empty() ? "this machine" : record.machine.cpu.name;
  return fmt::format("<header>\n<h1>{}{}{}</h1>\n{}{}</header>\n",
                     Html(TitleOf(record), kHeadingBytes), types.empty() ? "" : ": ", Html(types),
                     Paragraph(VerdictOn(record), "lead"),
                     Paragraph(fmt::format("Measured on {}{}{}.", machine,
                                           record.created.empty() ? "" : ", ", record.created),
                               "muted"));
}

}  // namespace

std::string RenderPage(const OptimizeRecord& record) {
  std::string page =
      PageHead(TitleOf(record) + ": trimma report") + "<body>\n" + Heading(record) + "<main>\n";
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
