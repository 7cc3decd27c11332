// Short messages of our own that a model is asked to answer, so that what it writes is in many
// languages and in code.
#pragma once

#include <span>
#include <string>

namespace trimma {

struct Prompt {
  const char* language;  // ISO 639-1, or "code"
  const char* text;
};

// Neighbours are of different languages, the most spoken ones first.
std::span<const Prompt> Prompts();

}  // namespace trimma
