#include <charconv>

#include "base/text.h"
#include "net/session.h"
#include "ollama/client.h"

namespace trimma {
namespace {

struct HostPort {
  std::string_view host;
  std::string_view port;  // empty: none given
};

HostPort SplitHostPort(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return {text.substr(1), ""};
    const std::string_view rest = text.substr(end + 1);
    return {text.substr(1, end - 1), rest.starts_with(':') ? rest.substr(1) : ""};
  }
  const size_t colon = text.rfind(':');
  // Several colons without brackets: an IPv6 address alone.
  if (colon == std::string_view::npos || text.find(':') != colon) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

std::string OllamaAddress::Text() const { return Peer{host, port, "", "", "", true}.Text(); }

std::optional<OllamaAddress> ParseOllamaHost(std::string_view text) {
  text = Trim(text);
  while (text.starts_with('"') || text.starts_with('\'')) text.remove_prefix(1);
  while (text.ends_with('"') || text.ends_with('\'')) text.remove_suffix(1);
  OllamaAddress address;
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    if (text.substr(0, scheme) != "http") return std::nullopt;
    address.port = 80;
    text.remove_prefix(scheme + 3);
  }
  const HostPort parts = SplitHostPort(text.substr(0, text.find('/')));
  if (!parts.host.empty()) address.host = parts.host;
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  int port = 0;
  const char* end = parts.port.data() + parts.port.size();
  const auto parsed = std::from_chars(parts.port.data(), end, port);
  const bool valid = parsed.ec == std::errc() && parsed.ptr == end && port > 0 && port <= 65535;
  if (valid) address.port = port;  // Ollama, too, falls back to the default
  return address;
}

}  // namespace trimma
