#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace trimma {

Result<uint64_t> ParseBytes(std::string_view text) {
  const auto bad = [&](const char* why) {
    return Error{Code::kUsage, fmt::format("\"{}\" is not a size: {}", text, why),
                 "write 2.2GiB, 512MiB or plain bytes"};
  };
  size_t end = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  if (end == 0) return bad("it has no number");
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + end, number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + end)
    return bad("the number is malformed");
  std::string_view unit = text.substr(end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (!unit.empty() && (unit.back() == 'B' || unit.back() == 'b')) unit.remove_suffix(1);
  bool binary = true;
  if (!unit.empty() && unit.back() == 'i') {
    unit.remove_suffix(1);
    if (unit.empty()) return bad("the unit is unknown");
  } else if (!unit.empty() && text.back() == 'B') {
    binary = false;
  }
  int power = 0;
  if (!unit.empty()) {
    if (unit.size() != 1) return bad("the unit is unknown");
    switch (unit.front()) {
      case 'k':
      case 'K':
        power = 1;
        break;
      case 'm':
      case 'M':
        power = 2;
        break;
      case 'g':
      case 'G':
        power = 3;
        break;
      case 't':
      case 'T':
        power = 4;
        break;
      default:
        return bad("the unit is unknown");
    }
  }
  const double bytes = number * std::pow(binary ? 1024.0 : 1000.0, power);
  if (bytes >= 9.2e18) return bad("it is too large");
  if (power == 0 && bytes != std::floor(bytes)) return bad("bytes come whole");
  // A plain integer keeps all its digits; a double would not beyond 2^53.
  if (power == 0) {
    uint64_t exact = 0;
    const auto r = std::from_chars(text.data(), text.data() + end, exact);
    if (r.ec == std::errc() && r.ptr == text.data() + end) return exact;
  }
  return static_cast<uint64_t>(std::llround(bytes));
}

std::string FormatBytes(uint64_t bytes) {
  static constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, digits, kUnits[unit]);
}

std::string FormatSeconds(double seconds) {
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 99.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole % 3600 / 60);
}

std::string FormatCount(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ' ');
  return digits;
}

}  // namespace trimma
