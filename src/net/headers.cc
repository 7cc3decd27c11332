#include "net/headers.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace trimma {
namespace {

constexpr size_t kLongestHeader = 16 << 10;

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

void SkipBlanks(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
}

// name=value or name="value", with what follows left in `text`.
struct Parameter {
  std::string name;
  std::string value;
};
std::optional<Parameter> TakeParameter(std::string_view& text) {
  SkipBlanks(text);
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  Parameter parameter{ToLower(Trim(text.substr(0, equals))), ""};
  text.remove_prefix(equals + 1);
  SkipBlanks(text);
  if (text.starts_with('"')) {
    const size_t end = text.find('"', 1);
    if (end == std::string_view::npos) return std::nullopt;
    parameter.value = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  } else {
    const size_t end = std::min(text.find(','), text.size());
    parameter.value = Trim(text.substr(0, end));
    text.remove_prefix(end);
  }
  SkipBlanks(text);
  if (text.starts_with(',')) {
    text.remove_prefix(1);
  } else if (!text.empty()) {
    return std::nullopt;
  }
  return parameter;
}

}  // namespace

std::optional<uint64_t> ParseCount(std::string_view text) {
  int64_t value = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<uint64_t>(value);
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  text = Trim(text);
  constexpr std::string_view kUnit = "bytes ";
  if (ToLower(text.substr(0, kUnit.size())) != kUnit) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash)
    return std::nullopt;
  const auto first = ParseCount(text.substr(0, dash));
  const auto last = ParseCount(text.substr(dash + 1, slash - dash - 1));
  const std::string_view total = text.substr(slash + 1);
  if (!first || !last || *first > *last) return std::nullopt;
  ContentRange range{*first, *last, ParseCount(total)};
  if (!range.total && total != "*") return std::nullopt;
  if (range.total && *last >= *range.total) return std::nullopt;
  return range;
}

std::optional<BearerChallenge> ParseBearerChallenge(std::string_view text) {
  constexpr std::string_view kScheme = "bearer ";
  text = Trim(text);
  if (text.size() > kLongestHeader || !IsPrintable(text)) return std::nullopt;
  if (ToLower(text.substr(0, kScheme.size())) != kScheme) return std::nullopt;
  text.remove_prefix(kScheme.size());
  BearerChallenge challenge;
  while (!text.empty()) {
    std::optional<Parameter> parameter = TakeParameter(text);
    if (!parameter) return std::nullopt;
    if (parameter->name == "realm") challenge.realm = std::move(parameter->value);
    if (parameter->name == "service") challenge.service = std::move(parameter->value);
    if (parameter->name == "scope") challenge.scope = std::move(parameter->value);
  }
  if (challenge.realm.empty()) return std::nullopt;
  return challenge;
}

std::optional<std::string> NextPage(std::string_view link) {
  if (link.size() > kLongestHeader || !IsPrintable(link)) return std::nullopt;
  while (!link.empty()) {
    const size_t open = link.find('<');
    const size_t close = link.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    const std::string_view target = link.substr(open + 1, close - open - 1);
    link.remove_prefix(close + 1);
    const std::string_view parameters = link.substr(0, link.find('<'));
    if (ToLower(parameters).find("rel=\"next\"") != std::string::npos) return std::string(target);
    link.remove_prefix(parameters.size());
  }
  return std::nullopt;
}

bool IsToken(std::string_view text) {
  return !text.empty() && text.size() <= kLongestHeader &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace trimma
