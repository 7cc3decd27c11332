// Names of models that are to be looked for on the network.
#pragma once

#include <string>

#include "base/result.h"
#include "models/models.h"
#include "models/ollama_name.h"

namespace trimma {

struct OnlineName {
  ModelSource source = ModelSource::kOllama;  // or kHuggingFace
  OllamaName ollama;                          // of the former
  bool plain = false;                         // which "http://" stood before
  std::string hub;                            // of the latter: "user/repo[:QUANT]"
};

// "ollama:NAME", "hf:user/repo[:QUANT]", or bare where it can only be Ollama's: "gemma3:4b",
// "hf.co/user/repo", "http://host/user/model". kUsage for others, "user/repo" among them, which may
// be either's.
Result<OnlineName> ParseOnlineName(const std::string& text);

// Only where the prefix says so: a bare name never makes trimma ask the network by itself.
bool MayAskNetwork(const std::string& text);

// The name without its tag, quant or file, in lower case: "ollama:gemma3", "hf:user/repo".
std::string FamilyOf(const std::string& name);

// Whether the local model `name` ("ollama:gemma3:4b") is of the family that `wanted` names, which
// may be bare or without its folder.
bool IsOfFamily(const std::string& name, const std::string& wanted);

}  // namespace trimma
