#include "doctor/running_version.h"

#include <fmt/format.h>

#include "base/text.h"

namespace trimma {

Fact<OllamaVersion> RunningVersion(const DoctorFacts& facts) {
  if (const auto why = Elsewhere(facts)) return Fact<OllamaVersion>::Unknown(*why);
  return AnsweringVersion(facts);
}

Fact<OllamaVersion> AnsweringVersion(const DoctorFacts& facts) {
  if (!facts.ollama) return Fact<OllamaVersion>::Unknown(facts.ollama.why());
  const auto version = ParseOllamaVersion(facts.ollama->version);
  if (version) return *version;
  return Fact<OllamaVersion>::Unknown(
      fmt::format("Ollama at {} says version \"{}\", which names no release", facts.ollama->host,
                  SafeText(facts.ollama->version, 40)));
}

bool RunsLlamaServer(const OllamaVersion& version) {
  return HasTrait(OllamaTrait::kRunsLlamaServer, version) == true;
}

}  // namespace trimma
