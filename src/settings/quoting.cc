#include "settings/quoting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <filesystem>

#include "base/text.h"

namespace trimma {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool OnlyPlain(std::string_view text, std::string_view punctuation) {
  const std::string plain = fmt::format("{}0123456789{}", kLetters, punctuation);
  return !text.empty() && text.find_first_not_of(plain) == std::string_view::npos;
}

size_t CharacterBytes(char first) {
  const auto byte = static_cast<uint8_t>(first);
  if (byte < 0x80) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

// One character of well-formed UTF-8 to its number.
uint32_t CodePoint(std::string_view character) {
  const auto first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first;
  uint32_t value = first & (0xFFU >> (character.size() + 1));
  for (const char c : character.substr(1)) value = (value << 6) | (static_cast<uint8_t>(c) & 0x3FU);
  return value;
}

bool IsShowable(std::string_view text) { return SafeText(text, text.size()) == text; }

}  // namespace

Status CheckApplied(const Applied& applied) {
  const Sampling& sampling = applied.sampling;
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0) {
    return Error{Code::kInvalid, fmt::format("temperature is {}", sampling.temperature),
                 "give a number from 0 on"};
  }
  if (!std::isfinite(sampling.top_p) || sampling.top_p < 0 || sampling.top_p > 1) {
    return Error{Code::kInvalid, fmt::format("top_p is {}", sampling.top_p),
                 "give a number from 0 to 1"};
  }
  if (!std::filesystem::path(applied.model_path).is_absolute()) {
    return Error{Code::kInvalid,
                 fmt::format("the model's path is not absolute: {}", SafeText(applied.model_path)),
                 "settings files are read from other folders; give the whole path"};
  }
  return {};
}

std::string FloatText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string TomlString(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const std::string_view character = text.substr(0, CharacterBytes(text[0]));
    text.remove_prefix(character.size());
    if (character == "\"" || character == "\\") {
      quoted += fmt::format("\\{}", character);
    } else if (character == "\n") {
      quoted += "\\n";
    } else if (character == "\t") {
      quoted += "\\t";
    } else if (!IsShowable(character)) {
      quoted += fmt::format("\\u{:04X}", CodePoint(character));
    } else {
      quoted += character;
    }
  }
  return quoted + "\"";
}

std::string TomlKey(std::span<const std::string> path) {
  std::string key;
  for (const std::string& part : path) {
    const bool bare = !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return c < 0x80 && (std::isalnum(c) != 0 || c == '_' || c == '-');
    });
    key += (key.empty() ? "" : ".") + (bare ? part : TomlString(part));
  }
  return key;
}

std::string ShellWord(std::string_view text) {
  if (OnlyPlain(text, "_-./:=@%+,")) return std::string(text);
  const bool showable = IsShowable(text);
  std::string word = showable ? "'" : "$'";
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (showable) {
      word += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (c == '\'' || c == '\\') {
      word += fmt::format("\\{}", c);
    } else if (byte < 0x20 || byte >= 0x7F) {
      word += fmt::format("\\x{:02x}", byte);
    } else {
      word += c;
    }
  }
  return word + "'";
}

std::string EnvironmentValue(std::string_view text) {
  if (OnlyPlain(text, "_-./:")) return std::string(text);
  std::string value = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') value += '\\';
    value += c;
  }
  return value + "\"";
}

std::string UnitWord(std::string_view name, std::string_view value) {
  std::string word = fmt::format("\"{}=", name);
  for (const char c : value) {
    if (c == '"' || c == '\\') word += '\\';
    if (c == '%') word += '%';
    if (c == '\n') {
      word += "\\n";
    } else if (static_cast<uint8_t>(c) >= 0x20) {
      word += c;
    }
  }
  return word + "\"";
}

}  // namespace trimma
