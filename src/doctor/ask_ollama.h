// Three questions to a running Ollama, within a time limit each. What it answers is not trusted.
#pragma once

#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "doctor/facts.h"
#include "ollama/client.h"

namespace trimma {

// GET /api/version: kNetwork where nobody answers, kInvalid where the answer is no version.
Result<std::string> AskVersion(const OllamaAddress& address, double timeout_s);

// GET /api/ps.
Result<std::vector<LoadedModel>> AskLoaded(const OllamaAddress& address, double timeout_s);

// GET /api/tags: names as Ollama has them, "gemma3:4b".
Result<std::vector<std::string>> AskNames(const OllamaAddress& address, double timeout_s);

// POST /api/show: the fields of one model.
Result<Json> AskModel(const OllamaAddress& address, const std::string& name, double timeout_s);

// "num_ctx    8192" lines, as /api/show has them under "parameters".
std::map<std::string, std::string> ParameterLines(std::string_view text);

}  // namespace trimma
