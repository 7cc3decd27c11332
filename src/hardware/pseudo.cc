#include "hardware/pseudo.h"

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {
constexpr uint64_t kMostCpus = 8192;  // the kernel's own upper bound of NR_CPUS
}  // namespace

std::optional<uint64_t> LeadingNumber(std::string_view text) {
  text = Trim(text);
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;
  return value;
}

std::string LineIn(const std::string& path) {
  const Result<std::string> text = ReadPseudoFile(path);
  if (!text.ok()) return "";
  const std::string_view view(*text);
  return std::string(Trim(view.substr(0, view.find('\n'))));
}

std::optional<uint64_t> NumberIn(const std::string& path) { return LeadingNumber(LineIn(path)); }

std::optional<std::string> ValueOf(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(key)) continue;
    // "Model" must not find "Model name": after the key come only blanks and a colon.
    line.remove_prefix(key.size());
    if (!line.empty() && std::string_view(" \t:").find(line.front()) == std::string_view::npos) {
      continue;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      if (!Trim(line.substr(0, colon)).empty()) continue;
      line.remove_prefix(colon + 1);
    }
    return std::string(Trim(line));
  }
  return std::nullopt;
}

std::vector<int> ParseCpuList(std::string_view text) {
  std::vector<int> cpus;
  for (const std::string& piece : Split(Trim(text), ',')) {
    const std::optional<uint64_t> first = LeadingNumber(piece);
    if (!first) continue;
    const size_t dash = piece.find('-');
    const std::optional<uint64_t> last =
        dash == std::string::npos ? first : LeadingNumber(std::string_view(piece).substr(dash + 1));
    if (!last) continue;
    for (uint64_t cpu = *first; cpu <= std::min(*last, kMostCpus - 1); ++cpu) {
      cpus.push_back(static_cast<int>(cpu));
    }
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

}  // namespace trimma
