// The settings files. Each function is pure: text in, text out; publishing is the caller's.
#pragma once

#include <cstdint>
#include <optional>
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

// Which setting stands under which key: "model.name" at {"llm", "model_id"}.
struct ConfigPlace {
  std::string setting;
  std::vector<std::string> path;  // of the key, one part at least
};
using ConfigMap = std::vector<ConfigPlace>;

// [model] name, context_length, temperature and top_p: what an application's file usually has.
ConfigMap UsualConfigMap();
// These and [runtime], for a file of our own.
ConfigMap OwnConfigMap();
// UsualConfigMap() with other places: "model.name=llm.model_id", or with nothing after the sign,
// where the setting is not to be written. kUsage for what is no setting, no key, or two settings in
// one place.
Result<ConfigMap> ParseConfigMap(const std::vector<std::string>& options);
// Names of the settings that a map may hold.
std::vector<std::string> ConfigSettings();

// An application's config.toml: sets the keys of the map that have a value; every other byte,
// comment and order is kept. `text` "" makes a new file.
// New keys follow the last one of their table, new tables the last line of the file.
// kInvalid (with the line) if it is no valid TOML, or if a key to be changed is of a kind that
// can't be edited in place: in an inline table, or holding a table or an array.
// kInternal if the result, parsed again, is not the original with just these keys changed.
Result<ConfigEdit> EditConfigToml(const std::string& text, const Applied& applied,
                                  const ConfigMap& map = OwnConfigMap());

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

// For whom an environment is written.
struct EnvironmentTarget {
  std::string ollama_version;  // "" or "0.0.0": not known, so only what every version reads
  std::string keep_alive;  // how long a model stays loaded, as Ollama writes it; "": its default
  // MiB of each graphics card that stay free; nullopt: Ollama's own margin.
  std::optional<uint64_t> fit_margin_mib;
};

struct EnvironmentVariable {
  std::string name, value;
};
// What that version of Ollama reads of the settings that a Modelfile can't hold.
std::vector<EnvironmentVariable> EnvironmentVariables(const Applied& applied,
                                                      const EnvironmentTarget& target);

// The same as an environment file for `ollama serve` (systemd EnvironmentFile syntax); what that
// version does not read is named in a comment.
std::string RenderEnvironment(const Applied& applied, const EnvironmentTarget& target = {});

// The same as a drop-in of the systemd unit ollama.service.
std::string RenderSystemdDropIn(const Applied& applied, const EnvironmentTarget& target);

// The LLAMA_ARG_* variables of a llama-server started without options; what no variable can say
// is named in a comment.
std::string RenderLlamaServerEnvironment(const Applied& applied);

// The words after "llama-server" of LlamaServerCommand, unquoted.
std::vector<std::string> LlamaServerArguments(const Applied& applied);

}  // namespace trimma
