#include "doctor/version.h"

#include <fmt/format.h>

#include <charconv>
#include <tuple>

#include "base/text.h"

namespace trimma {

bool operator<(const Version& a, const Version& b) {
  return std::tuple(a.major, a.minor, a.patch, !a.candidate) <
         std::tuple(b.major, b.minor, b.patch, !b.candidate);
}

std::optional<Version> ParseVersion(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('v')) text.remove_prefix(1);
  Version version;
  const char* at = text.data();
  const char* end = text.data() + text.size();
  for (int* part : {&version.major, &version.minor, &version.patch}) {
    const auto parsed = std::from_chars(at, end, *part);
    if (parsed.ec != std::errc() || *part < 0) return std::nullopt;
    at = parsed.ptr;
    if (part == &version.patch) break;
    if (at == end || *at != '.') return std::nullopt;
    ++at;
  }
  if (at != end && *at != '-' && *at != '+') return std::nullopt;
  version.candidate = at != end && *at == '-';
  if (version.major == 0 && version.minor == 0 && version.patch == 0) return std::nullopt;
  return version;
}

Fact<Version> RunningVersion(const DoctorFacts& facts) {
  if (const auto why = Elsewhere(facts)) return Fact<Version>::Unknown(*why);
  return AnsweringVersion(facts);
}

Fact<Version> AnsweringVersion(const DoctorFacts& facts) {
  if (!facts.ollama) return Fact<Version>::Unknown(facts.ollama.why());
  const auto version = ParseVersion(facts.ollama->version);
  if (version) return *version;
  return Fact<Version>::Unknown(
      fmt::format("Ollama at {} says version \"{}\", which names no release", facts.ollama->host,
                  SafeText(facts.ollama->version, 40)));
}

}  // namespace trimma
