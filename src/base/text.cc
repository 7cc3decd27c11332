#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace trimma {
namespace {

struct Rune {
  uint32_t value = 0;
  size_t bytes = 1;
  bool valid = false;
};

// Decodes the first character of `text` (not empty); rejects overlong forms and surrogates.
Rune DecodeRune(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  size_t bytes = 0;
  uint32_t value = 0;
  uint32_t least = 0;
  if ((first & 0xE0) == 0xC0) {
    bytes = 2, value = first & 0x1FU, least = 0x80;
  } else if ((first & 0xF0) == 0xE0) {
    bytes = 3, value = first & 0x0FU, least = 0x800;
  } else if ((first & 0xF8) == 0xF0) {
    bytes = 4, value = first & 0x07U, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < bytes) return {};
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < least || value > 0x10FFFF || surrogate) return {};
  return {value, bytes, true};
}

bool Showable(uint32_t rune) {
  if (rune < 0x20 || (rune >= 0x7F && rune < 0xA0)) return false;
  // Bidirectional controls reorder what stands around them; zero-width ones hide text.
  if (rune == 0x061C || (rune >= 0x200B && rune <= 0x200F)) return false;
  if ((rune >= 0x2028 && rune <= 0x202E) || (rune >= 0x2060 && rune <= 0x206F)) return false;
  return rune != 0xFEFF;
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view Trim(std::string_view text) {
  const char* blank = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  const std::string lower = ToLower(word.substr(0, 64));
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(1, lower.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(lower, ToLower(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string SafeText(std::string_view text, size_t max_bytes) {
  std::string safe;
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    const std::string_view piece =
        rune.valid && Showable(rune.value) ? text.substr(0, rune.bytes) : std::string_view("?");
    if (safe.size() + piece.size() > max_bytes) return safe + "...";
    safe += piece;
    text.remove_prefix(rune.bytes);
  }
  return safe;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    if (!rune.valid) return false;
    text.remove_prefix(rune.bytes);
  }
  return true;
}

}  // namespace trimma
