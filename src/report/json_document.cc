#include "report/json_document.h"

#include <algorithm>

#include "base/text.h"

namespace trimma {
namespace {

using Ordered = nlohmann::ordered_json;

std::string Dump(const Ordered& document, bool ascii) {
  return document.dump(2, ' ', ascii, Ordered::error_handler_t::replace) + "\n";
}

bool SafeOnTerminal(const std::string& text) {
  const std::vector<std::string> lines = Split(text, '\n');
  return std::all_of(lines.begin(), lines.end(),
                     [](const std::string& line) { return SafeText(line, line.size()) == line; });
}

}  // namespace

std::string DumpDocument(const Json& document) {
  Ordered ordered;
  if (document.is_object() && document.contains("schema")) {
    ordered["schema"] = document["schema"];
    for (const auto& [key, value] : document.items()) ordered[key] = value;
  } else {
    ordered = document;
  }
  std::string text = Dump(ordered, false);
  return SafeOnTerminal(text) ? text : Dump(ordered, true);
}

}  // namespace trimma
