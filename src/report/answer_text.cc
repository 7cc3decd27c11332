#include "report/answer_text.h"

#include "base/text.h"

namespace trimma {

std::string WithBlanks(std::string text) {
  for (char& c : text) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

std::string OneLine(const std::string& text, size_t most) {
  std::string line;
  for (const char c : WithBlanks(text)) {
    if (c != ' ' || (!line.empty() && line.back() != ' ')) line += c;
  }
  return SafeText(line, most);
}

}  // namespace trimma
