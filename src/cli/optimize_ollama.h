// The end of `trimma optimize` for a model in Ollama: a new model there, the original untouched.
#pragma once

#include <optional>
#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "cli/apply_text.h"
#include "report/record.h"

namespace trimma {

// Where the result goes in Ollama.
struct OllamaGoal {
  bool any() const { return name || !beside.empty(); }
  std::optional<std::string> name;  // as the user wished; nullopt: none was
  std::string beside;               // the model that gets a NAME-trimma; "": none
  std::string note;                 // why nowhere, where one might have expected it
};

// Before the work begins. `wish` is a name, "none", or nullopt: a model of Ollama's gets
// NAME-trimma beside it, where Ollama runs; others stay out of it. A wish that can't be met is an
// error.
Result<OllamaGoal> ChooseOllamaGoal(const std::string& model,
                                    const std::optional<std::string>& wish);

// "gemma3:4b" -> "gemma3-trimma:4b", without host and namespace: it is this user's own. A type in
// the tag gives way to the new one: "m:1b-f16" -> "m-trimma:1b-q8_0".
std::string TrimmedName(const std::string& original, const std::string& type_before,
                        const std::string& type_after);

// Makes it, checks and measures it through Ollama's API, and notes how it is taken back.
Result<AppliedText> MakeOllamaGoal(const OptimizeRecord& record, const OllamaGoal& goal,
                                   double seconds, Progress& progress);

}  // namespace trimma
