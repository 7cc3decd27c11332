// Versions of Ollama: "0.17.4", "v0.33.0-rc2".
#pragma once

#include <optional>
#include <string_view>

#include "doctor/facts.h"

namespace trimma {

struct Version {
  int major = 0, minor = 0, patch = 0;
  bool candidate = false;  // "-rc2": before the release of the same number
};
bool operator<(const Version& a, const Version& b);
inline bool operator>=(const Version& a, const Version& b) { return !(a < b); }

// nullopt for what is none, and for 0.0.0: builds from a checkout or `go install` say that.
std::optional<Version> ParseVersion(std::string_view text);

// That of the Ollama that answers, wherever it runs, or why it isn't known.
Fact<Version> AnsweringVersion(const DoctorFacts& facts);

// That of the Ollama that runs here, which what stands in this machine's files is for.
Fact<Version> RunningVersion(const DoctorFacts& facts);

}  // namespace trimma
