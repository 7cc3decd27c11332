// What several commands share: opening a model, reading option values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gguf/file_type.h"
#include "gguf/reader.h"
#include "models/engine_view.h"
#include "models/models.h"

namespace CLI {
class App;
}

namespace trimma {

// A file of Ollama's that the engine reads by a view.
struct StoredModel {
  std::string path;
  GgufFile file;
  EngineView view;
};

struct OpenedModel {
  LocalModel local;  // local.path: what the engine loads
  GgufFile file;     // its header
  std::optional<StoredModel> stored;
  // The host that the header came from: the model isn't here, only planned or looked at.
  std::string remote_host;
  std::optional<GgufFile> remote_projector;
};

// kHeader: nothing will be loaded, so a view's file isn't written where it is missing; local.path
// is then the stored one.
enum class OpenFor { kLoading, kHeader };

// Finds MODEL, reads its header and checks that it is a sound language model. What Ollama stores
// otherwise than the engine reads it comes as its text view; where that has to be written first,
// standard error says so, and how far it is, unless `quiet`.
Result<OpenedModel> OpenModel(const std::string& name, bool quiet,
                              OpenFor purpose = OpenFor::kLoading);
// Whether its file isn't there, so that `file` describes one that could be written.
bool IsUnwritten(const OpenedModel& model);

// The file that the user has, whatever the engine loads.
const std::string& StoredPath(const OpenedModel& model);
// "read as: ...", and what of it is not read; none where the engine reads the file as it is.
std::vector<std::string> ViewNotes(const OpenedModel& model);
// What files made of it are called: "gemma3-4b" of Ollama's gemma3:4b, else the file's name without
// its extension.
std::string StemOf(const OpenedModel& model);

// The same for commands that need no weights: a name with its source ("ollama:", "hf:") that isn't
// on this machine is looked for on the network, and its header alone is read. `insecure`: as
// DownloadOptions'.
Result<OpenedModel> OpenModelOrHeader(const std::string& name, bool insecure);

// --insecure, of the commands that ask the network.
void AddInsecureOption(CLI::App& app, bool& insecure);

// The projector to plan for: the file that `wish` names, none for "none"; nullopt: what the
// model's store has with it, for the applications that own the store load it.
Result<std::optional<GgufFile>> OpenProjector(const OpenedModel& model,
                                              const std::optional<std::string>& wish);

// "Q4_K_M": kUsage with the nearest valid name.
Result<const FileType*> ParseFileType(const std::string& name);

// "f16", "q8_0", ...: kUsage with the nearest valid name.
Result<std::string> ParseKvType(const std::string& name);

// Context lengths, "4096,8192" already split: kUsage where one is not in 1 .. the model's maximum.
Status CheckContexts(const std::vector<uint32_t>& contexts, const GgufFile& file);

// Where a model's name stands in its metadata, cleaned for showing; the file's name if absent.
std::string DisplayName(const OpenedModel& model);

}  // namespace trimma
