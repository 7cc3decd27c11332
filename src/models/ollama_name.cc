#include "models/ollama_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace trimma {
namespace {

enum class Part { kHost, kSpace, kModel, kTag };

constexpr size_t kLongestHost = 350;
constexpr size_t kLongestPart = 80;
constexpr std::string_view kPlain = "http://";
constexpr std::string_view kSecure = "https://";

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsValidPart(Part part, std::string_view text) {
  if (text.empty() || text.size() > (part == Part::kHost ? kLongestHost : kLongestPart)) {
    return false;
  }
  if (!IsLetterOrDigit(text.front()) && text.front() != '_') return false;
  for (const char c : text) {
    const bool fits = IsLetterOrDigit(c) || c == '-' || c == '_' ||
                      (c == '.' && part != Part::kSpace) || (c == ':' && part == Part::kHost);
    if (!fits) return false;
  }
  return true;
}

Error NoName(std::string_view text) {
  return {Code::kUsage, fmt::format("\"{}\" is no name of an Ollama model", SafeText(text)),
          "write [host/][namespace/]model[:tag], such as gemma3:4b"};
}

Result<OllamaName> Checked(OllamaName name, std::string_view text) {
  const bool valid = IsValidPart(Part::kHost, name.host) && IsValidPart(Part::kSpace, name.space) &&
                     IsValidPart(Part::kModel, name.model) && IsValidPart(Part::kTag, name.tag);
  if (valid) return name;
  return NoName(text);
}

}  // namespace

std::string OllamaName::Short() const {
  const OllamaName defaults;
  if (host != defaults.host) return fmt::format("{}/{}/{}:{}", host, space, model, tag);
  if (space != defaults.space) return fmt::format("{}/{}:{}", space, model, tag);
  return fmt::format("{}:{}", model, tag);
}

std::string OllamaName::Path() const { return fmt::format("{}/{}/{}/{}", host, space, model, tag); }

Result<OllamaName> ParseOllamaName(std::string_view text) {
  OllamaName name;
  std::string_view rest = text;
  // A colon left of the last slash belongs to the host's port.
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  const std::vector<std::string> parts = Split(rest, '/');
  name.model = parts.back();
  if (parts.size() >= 2) name.space = parts[parts.size() - 2];
  if (parts.size() == 3) name.host = parts[0];
  if (parts.size() > 3) name.model.clear();  // too many parts: fails the check
  return Checked(std::move(name), text);
}

Result<OllamaReference> ParseOllamaReference(std::string_view text) {
  const bool plain = text.starts_with(kPlain);
  const bool schemed = plain || text.starts_with(kSecure);
  const std::string_view bare =
      schemed ? text.substr(plain ? kPlain.size() : kSecure.size()) : text;
  // Behind a scheme nothing can be left out: Ollama would look for the host elsewhere.
  if (schemed && std::count(bare.begin(), bare.end(), '/') != 2) return NoName(text);
  auto name = ParseOllamaName(bare);
  if (!name.ok()) return NoName(text);
  return OllamaReference{*std::move(name), plain};
}

Result<OllamaName> ParseOllamaPath(std::string_view path) {
  const std::vector<std::string> parts = Split(path, '/');
  OllamaName name;
  if (parts.size() == 4) name = {parts[0], parts[1], parts[2], parts[3]};
  return Checked(std::move(name), path);
}

bool SameIgnoringCase(const OllamaName& a, const OllamaName& b) {
  return ToLower(a.Path()) == ToLower(b.Path());
}

}  // namespace trimma
