// Releases of Ollama with a vulnerability that a later one is known to fix.
#pragma once

#include <string>
#include <vector>

#include "doctor/running_version.h"

namespace trimma {

struct Vulnerability {
  const char* id;
  const char* since;  // the first release that has it; "": all
  const char* fixed;  // the first release without it
  const char* what;
  const char* source;
};

// Only what has a sourced fixed release is here: a list without an end would accuse every version.
std::vector<Vulnerability> VulnerabilitiesOf(const OllamaVersion& version);

}  // namespace trimma
