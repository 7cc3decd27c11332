#include "report/table.h"

#include <algorithm>

namespace trimma {
namespace {

size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

bool IsNumber(const std::string& text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) != 0 ||
                           text[0] == '-' || text[0] == '+');
}

void AppendRow(const std::vector<std::string>& row, const std::vector<size_t>& widths,
               const std::vector<bool>& right, std::string& out) {
  std::string line;
  for (size_t c = 0; c < row.size(); ++c) {
    const std::string padding(widths[c] - Width(row[c]), ' ');
    if (c > 0) line += "  ";
    line += right[c] ? padding + row[c] : row[c] + padding;
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += line + "\n";
}

}  // namespace

std::string RenderTable(const TextTable& table) {
  std::vector<size_t> widths;
  for (const std::string& cell : table.head) widths.push_back(Width(cell));
  // A column is one of numbers if every cell that says something is.
  std::vector<bool> right(table.head.size(), true);
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], Width(row[c]));
      if (!row[c].empty() && !IsNumber(row[c])) right[c] = false;
    }
  }
  if (!right.empty()) right[0] = false;
  std::string out;
  AppendRow(table.head, widths, right, out);
  for (const auto& row : table.rows) AppendRow(row, widths, right, out);
  return out;
}

}  // namespace trimma
