// What models wrote, as it is shown.
#pragma once

#include <cstddef>
#include <string>

namespace trimma {

// Tabs and ends of lines as blanks: in an answer they hide nothing, as they would in a name.
std::string WithBlanks(std::string text);

// An answer in one line of at most so many bytes, several blanks as one, safe to print.
std::string OneLine(const std::string& text, size_t most);

}  // namespace trimma
