// A plain table for the terminal: columns as wide as their widest cell, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace trimma {

struct TextTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

// Cells that begin with a digit, a sign or "-" are aligned right. Widths count characters, not
// bytes.
std::string RenderTable(const TextTable& table);

}  // namespace trimma
