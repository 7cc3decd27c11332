// The four settings files. Each function is pure: text in, text out; publishing is the caller's.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "settings/applied.h"

namespace trimma {

struct ConfigChange {
  std::string key;     // "model.context_length"
  std::string before;  // as written; "" if it was absent
  std::string after;
};

struct ConfigEdit {
  std::string text;  // the whole new file
  std::vector<ConfigChange> changes;
};

// An application's config.toml: sets [model] name, context_length, temperature, top_p and the
// [runtime] keys; every other byte, comment and order is kept. `text` "" makes a new file.
// New keys follow the last one of their table, new tables the last line of the file.
// kInvalid (with the line) if it is no valid TOML, or if a key to be changed is of a kind that
// can't be edited in place: in an inline table, or holding a table or an array.
// kInternal if the result, parsed again, is not the original with just these keys changed.
Result<ConfigEdit> EditConfigToml(const std::string& text, const Applied& applied);

// An Ollama Modelfile, for `ollama create NAME -f Modelfile`. kInvalid if the path has characters
// that Ollama's parser drops (control, invisible) or ends in one it can't keep.
// PARAMETER num_batch is the *physical* batch: Ollama passes it to llama-server as both -b and -ub.
Result<std::string> RenderModelfile(const Applied& applied);

// What of these settings neither a Modelfile nor the environment of `ollama serve` can say, in
// words; Ollama's own choice stands there instead.
std::vector<std::string> NotHeldByOllama(const RuntimeSettings& settings);

// A models preset of llama-server (--models-preset FILE). A name that its grammar can't hold, or
// would change ("gemma3:4b" would become "gemma3:4B"), becomes a plain section name, with the
// original as alias where an alias can hold it. kInvalid if the model's path can't be written.
Result<std::string> RenderLlamaServerPreset(const Applied& applied);

// The same as one command line for bash: "llama-server --model ... --top-p 0.9".
std::string LlamaServerCommand(const Applied& applied);

// An environment file for `ollama serve` (systemd EnvironmentFile syntax): what a Modelfile can't
// hold.
std::string RenderEnvironment(const Applied& applied);

}  // namespace trimma
