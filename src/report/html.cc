#include "report/html.h"

#include "base/text.h"

namespace trimma {

std::string Html(std::string_view text, size_t max_bytes) {
  std::string html;
  // Cut first: a cut behind the escaping could leave half of an entity.
  for (const char c : SafeText(text, max_bytes)) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

}  // namespace trimma
