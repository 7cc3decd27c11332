// Which Ollama the facts are of.
#pragma once

#include "doctor/facts.h"
#include "settings/ollama_versions.h"

namespace trimma {

// The version of the Ollama that answers, wherever it runs, or why it isn't known.
Fact<OllamaVersion> AnsweringVersion(const DoctorFacts& facts);

// That of the Ollama that runs here, which what stands in this machine's files is for.
Fact<OllamaVersion> RunningVersion(const DoctorFacts& facts);

// GGUF models run in a stock llama-server, not in a runner of Ollama's own.
bool RunsLlamaServer(const OllamaVersion& version);

}  // namespace trimma
