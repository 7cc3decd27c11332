#include "settings/toml_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/text.h"

namespace trimma {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// toml++ bounds the nesting of values, but not the parts of a dotted key, and walks its tree by
// recursion: a[a.a.a...] of a megabyte would overflow the stack.
constexpr int kMaxKeyDots = 32;

// The end of the string that begins at `begin` with a quote; of the text, if it is not closed.
size_t StringEnd(std::string_view text, size_t begin) {
  const char quote = text[begin];
  const std::string closing(text.substr(begin, 3) == std::string(3, quote) ? 3 : 1, quote);
  size_t at = begin + closing.size();
  while (at < text.size() && text.substr(at, closing.size()) != closing) {
    if (closing.size() == 1 && text[at] == '\n') return at;
    at += quote == '"' && text[at] == '\\' ? 2 : 1;
  }
  return std::min(at + closing.size(), text.size());
}

// The most dots in any run of key characters, strings and blanks.
int LongestKey(std::string_view text) {
  int dots = 0;
  int longest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = StringEnd(text, i) - 1;
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      dots = 0;
    } else if (c == '.') {
      longest = std::max(longest, ++dots);
    } else if (c == '\n' || c == '=' || c == ',' || c == '[' || c == '{') {
      dots = 0;
    }
  }
  return longest;
}

Error NotToml(const std::string& why) {
  return Error{Code::kInvalid, fmt::format("the file is no valid TOML: {}", why),
               "correct it there; nothing was changed"};
}

}  // namespace

Result<TomlDocument> TomlDocument::Parse(const std::string& text) {
  if (text.size() > kMaxBytes) return NotToml("it is larger than 1 MiB");
  if (LongestKey(text) > kMaxKeyDots) {
    return NotToml(fmt::format("a key has more than {} parts", kMaxKeyDots + 1));
  }
  TomlDocument document;
  try {
    document.root_ = toml::parse(std::string_view(text));
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    return NotToml(
        fmt::format("line {}, column {}: {}", at.line, at.column, SafeText(error.description())));
  }
  document.text_ = text;
  document.line_begins_.push_back(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') document.line_begins_.push_back(i + 1);
  }
  return document;
}

size_t TomlDocument::Offset(const toml::source_position& position) const {
  CHECK(position.line >= 1 && position.line <= line_begins_.size());
  size_t offset = line_begins_[position.line - 1];
  // Columns count characters: skip the continuation bytes of UTF-8.
  for (auto column = position.column; column > 1 && offset < text_.size(); --column) {
    do {
      ++offset;
    } while (offset < text_.size() && (static_cast<uint8_t>(text_[offset]) & 0xC0) == 0x80);
  }
  return offset;
}

TextSpan TomlDocument::Range(const toml::node& value) const {
  return {Offset(value.source().begin), Offset(value.source().end)};
}

std::string_view TomlDocument::Line(size_t offset) const {
  const auto next = std::upper_bound(line_begins_.begin(), line_begins_.end(), offset);
  const size_t begin = next == line_begins_.begin() ? 0 : *(next - 1);
  const size_t end = std::min(text_.find('\n', offset), text_.size());
  std::string_view line = std::string_view(text_).substr(begin, end - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool SameToml(const toml::node& a, const toml::node& b) {
  if (a.type() != b.type()) return false;
  if (const toml::table* table = a.as_table()) {
    const toml::table& other = *b.as_table();
    return table->size() == other.size() &&
           std::all_of(table->begin(), table->end(), [&](const auto& item) {
             const toml::node* match = other.get(item.first.str());
             return match != nullptr && SameToml(item.second, *match);
           });
  }
  if (const toml::array* array = a.as_array()) {
    return std::equal(array->begin(), array->end(), b.as_array()->begin(), b.as_array()->end(),
                      SameToml);
  }
  if (const auto* number = a.as_floating_point()) {
    const double other = b.as_floating_point()->get();
    return number->get() == other || (std::isnan(number->get()) && std::isnan(other));
  }
  return a.visit([&](const auto& value) {
    using Node = std::remove_cvref_t<decltype(value)>;
    if constexpr (toml::is_value<Node>) {
      return value.get() == b.as<typename Node::value_type>()->get();
    } else {
      return false;
    }
  });
}

}  // namespace trimma
