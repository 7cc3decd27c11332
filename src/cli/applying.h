// Writing settings files, and taking it back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/apply_ollama.h"
#include "settings/applied.h"
#include "settings/files.h"

namespace trimma {

// Where to write; "" leaves one out.
struct ApplyTargets {
  std::string config;
  std::string modelfile;
  std::string env;
  std::string llama_server;
  ConfigMap config_map = OwnConfigMap();  // which keys of `config`
  std::string llama_env;                  // LLAMA_ARG_* variables
  std::string drop_in;                    // of the systemd unit ollama.service
  EnvironmentTarget ollama;               // for whom env and drop_in are written
  std::string config_name;                // what `config` calls the model; "": Applied::name
};

struct FileChange {
  std::string target;                 // absolute
  std::optional<std::string> before;  // the whole file; nullopt: it doesn't exist
  std::string after;
  std::vector<std::string> summary;  // what changes, a line each
};

// What would be written. Nothing is touched.
Result<std::vector<FileChange>> PlanChanges(const Applied& applied, const ApplyTargets& targets);

// Writes all, keeping each former file as FILE.bak, and notes what an undo has to restore. A file
// that changed since PlanChanges read it is kBusy, and nothing is written. Returns notes: a model
// that an earlier apply replaced in Ollama stays there as a copy, though no undo knows it any more.
Result<std::vector<std::string>> MakeChanges(const std::vector<FileChange>& changes);

// The same with a model that is made in a running Ollama, before any file is written. Returns what
// was seen while making it. Where that name holds the last apply's own model already, an undo goes
// back to what was there before that one.
Result<MadeModel> MakeChanges(const std::vector<FileChange>& changes, OllamaClient& client,
                              const OllamaChange& model, const MakeOptions& options);

// Restores what the last MakeChanges replaced, and removes what it created, unless it was edited
// since (kBusy), in files and in Ollama. Where Ollama can't be asked, the files are restored, the
// model stays for a later undo, and the error says so.
Result<std::vector<TakenBack>> UndoLastApply(bool dry_run);

// What Ollama's files can't hold of these settings, one sentence each.
std::vector<std::string> NotesOnOllama(const RuntimeSettings& settings);

}  // namespace trimma
