#include "report/page_parts.h"

#include <fmt/format.h>

#include "base/result.h"
#include "report/html.h"
#include "report/page_style.h"

namespace trimma {
namespace {

constexpr size_t kTitleBytes = 90;  // a tab or a bookmark shows no more
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'";

// A line break between a number and its percent sign reads badly.
std::string KeepPercentSigns(std::string html) {
  for (size_t at = 0; (at = html.find(" %", at)) != std::string::npos;)
    html.replace(at, 1, "&nbsp;");
  return html;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  html_ = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
  for (const Column& column : columns_) {
    html_ += fmt::format("<th scope=\"col\" class=\"{}\">{}</th>", column.number ? "n" : "wrap",
                         Html(column.name));
  }
  html_ += "</tr></thead><tbody>\n";
}

void Table::Row(const std::vector<std::string>& cells_html, bool chosen) {
  CHECK(cells_html.size() == columns_.size());
  html_ += chosen ? "<tr class=\"chosen\">" : "<tr>";
  for (size_t i = 0; i < cells_html.size(); ++i) {
    const char* css = columns_[i].number ? "n" : "wrap";
    html_ += i == 0 ? fmt::format("<th scope=\"row\" class=\"{}\">{}</th>", css, cells_html[i])
                    : fmt::format("<td class=\"{}\">{}</td>", css, cells_html[i]);
  }
  html_ += "</tr>\n";
}

std::string Table::Finish() && { return std::move(html_) + "</tbody></table></div>\n"; }

void Facts::AddHtml(std::string_view term, const std::string& html) {
  html_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", Html(term), html);
}

void Facts::Add(std::string_view term, std::string_view text) {
  if (!text.empty()) AddHtml(term, Html(text));
}

void Facts::AddCode(std::string_view term, std::string_view text) {
  if (!text.empty()) AddHtml(term, fmt::format("<code>{}</code>", Html(text)));
}

std::string Facts::Finish() && { return html_.empty() ? "" : "<dl>\n" + html_ + "</dl>\n"; }

std::string PageHead(std::string_view title, std::string_view more_style) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<title>{}</title>\n<style>{}{}</style>\n</head>\n",
      kPolicy, Html(title, kTitleBytes), kPageStyle, more_style);
}

std::string Section(std::string_view id, std::string_view heading, const std::string& html) {
  return fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", id, Html(heading), html);
}

std::string Paragraph(std::string_view text, std::string_view css) {
  if (text.empty()) return "";
  const std::string html = KeepPercentSigns(Html(text));
  return css.empty() ? fmt::format("<p>{}</p>\n", html)
                     : fmt::format("<p class=\"{}\">{}</p>\n", css, html);
}

}  // namespace trimma
