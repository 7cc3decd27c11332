// Settings and speculation as the command line of one llama-server (pure).
//
// Names and values come from settings/files.h, which knows the pinned version; here they are fitted
// to the version that is installed.
#pragma once

#include <string>
#include <vector>

#include "llama_server/program.h"
#include "settings/applied.h"

namespace trimma {

struct ServerArguments {
  std::vector<std::string> words;  // "--model", "/m.gguf", ...
  // What of the settings this version can't be told, and what it does instead; a sentence each.
  std::vector<std::string> notes;
};

// kUsage where a setting that isn't the default can't be told. Sampling is left out: each request
// brings its own.
Result<ServerArguments> FitArguments(const LlamaServerProgram& program, const Applied& applied);

// Tokens guessed ahead and checked together: the answer stays, its speed depends on the text.
struct Speculation {
  std::string type;   // "ngram-simple", "ngram-mod", ...; "draft-simple": a small model
  std::string draft;  // path of that model; "" for the others
  // Options of the type as the server names them: {"--spec-draft-n-max", "8"}.
  std::vector<std::pair<std::string, std::string>> options;
  std::string what;  // "n-gram of 12 tokens", for people
  bool operator==(const Speculation&) const = default;
};
Json ToJson(const Speculation& speculation);

std::vector<std::string> SpeculationWords(const LlamaServerProgram& program,
                                          const Speculation& speculation);

// What this version can try, what promises most first; `draft`: path of a small model, or "".
// What can't be tried is named with its reason.
struct Speculations {
  std::vector<Speculation> tried;
  std::vector<std::pair<std::string, std::string>> not_tried;  // what, why
};
Speculations SpeculationsToTry(const LlamaServerProgram& program, const std::string& draft);

}  // namespace trimma
