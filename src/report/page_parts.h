// Pieces of markup that the sections of the page are made of.
//
// Text arguments are plain and are escaped here; arguments called `html` are finished markup.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trimma {

struct Column {
  std::string name;
  bool number = false;  // right-aligned, never wrapped
};

// A table in a container of its own that scrolls sideways when it must.
class Table {
 public:
  explicit Table(std::vector<Column> columns);
  // One cell per column, the first is the row's heading.
  void Row(const std::vector<std::string>& cells_html, bool chosen = false);
  std::string Finish() &&;

 private:
  std::vector<Column> columns_;
  std::string html_;
};

// Pairs of a term and its text; those without a text are left out.
class Facts {
 public:
  void Add(std::string_view term, std::string_view text);
  void AddCode(std::string_view term, std::string_view text);
  std::string Finish() &&;

 private:
  void AddHtml(std::string_view term, const std::string& html);
  std::string html_;
};

// Up to </head>: the page's style, `more_style` after it, and a policy by which nothing is loaded
// and nothing runs, whatever the page's strings contain.
std::string PageHead(std::string_view title, std::string_view more_style = "");
std::string Section(std::string_view id, std::string_view heading, const std::string& html);
std::string Paragraph(std::string_view text, std::string_view css = "");

}  // namespace trimma
