// A parsed TOML text whose values know the bytes they were written with.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "settings/toml_library.h"

namespace trimma {

struct TextSpan {
  size_t begin = 0;
  size_t end = 0;
};

class TomlDocument {
 public:
  // kInvalid names line and column. `text` may begin with a byte order mark; at most 1 MiB.
  static Result<TomlDocument> Parse(const std::string& text);

  const std::string& text() const { return text_; }
  const toml::table& root() const { return root_; }

  size_t Offset(const toml::source_position& position) const;  // in text(), byte order mark counted
  TextSpan Range(const toml::node& value) const;               // of a value as written
  std::string_view Line(size_t offset) const;  // the whole line that holds `offset`, break excluded

 private:
  TomlDocument() = default;
  std::string text_;
  std::vector<size_t> line_begins_;
  toml::table root_;
};

// Same types and same values throughout; NaN equals NaN, unlike in toml++.
bool SameToml(const toml::node& a, const toml::node& b);

}  // namespace trimma
