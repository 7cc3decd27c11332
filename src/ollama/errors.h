// An Ollama's refusals as errors of ours; names as it compares them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace trimma {

// How the sentence of an error begins that Ollama itself answered with.
inline constexpr std::string_view kOllamaSays = "Ollama says: ";

// From the status and body of an answer that is no success.
Error OllamaRefused(int status, const std::string& body, const std::string& version);

// The same from its sentence, which may also come in the middle of a stream.
Error OllamaSaid(int status, const std::string& sentence, const std::string& version);

// "gemma3" is "gemma3:latest".
std::string WithTag(const std::string& model);

}  // namespace trimma
