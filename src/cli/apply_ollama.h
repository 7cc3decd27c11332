// A model in a running Ollama that is made of a record's weights and settings: planned, made,
// checked by loading it, measured against what was there before, and taken back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/undo_note.h"
#include "ollama/client.h"
#include "ollama/recipe.h"
#include "ollama/served_speed.h"
#include "settings/applied.h"

namespace trimma {

// A file that the model needs; sent only where Ollama lacks it.
struct NeededBlob {
  std::string digest;
  std::string path;
  uint64_t bytes = 0;
  bool there = false;
};

struct OllamaChange {
  std::string name;  // with its tag
  OllamaCreate create;
  std::vector<NeededBlob> blobs;
  std::optional<OllamaShow> before;  // of that name; nullopt: a new model
  OllamaShow after;                  // as it will be
  std::vector<std::string> summary;  // what changes, a line each
  std::vector<std::string> notes;
  ModelUndo undo;
  // What is measured as "before": a model, and options that make it what it was.
  ServedSubject compare_with;
  std::string compared_text;  // "gemma3:4b as it was"
  bool nothing_to_do() const { return before && SameModel(*before, after); }
  uint64_t bytes_to_send() const;
};

// Nothing is changed. kUsage for a name that Ollama can't have.
Result<OllamaChange> PlanOllamaModel(OllamaClient& client, const Applied& applied,
                                     const std::string& name);

struct MakeOptions {
  double measure_seconds = 6;  // 0: not measured
  std::function<void(const std::string& stage, double share)> progress;
};

struct MadeModel {
  std::string digest;
  OllamaShow show;  // as read back
  std::optional<OllamaLoaded> loaded;
  double load_seconds = 0;
  uint64_t sent_bytes = 0;
  std::optional<Speed> before, after;
  ServedChange prefill, decode;
  std::vector<std::string> notes;
  Json ToJson() const;
};

struct Making {
  Result<MadeModel> made;
  // Of one that failed: Ollama has of that name what it had, and no copy is left. False also where
  // it doesn't answer, or may still be at it: then a copy stays, for an undo.
  bool as_before = false;
};

// Sends what is missing, keeps a former model of that name as a copy, makes the new one and loads
// it. Where it can't be made or loaded, it is taken back.
Making MakeOllamaModel(OllamaClient& client, const OllamaChange& change,
                       const MakeOptions& options);

// As before: the former model under its name, or none of it. Goes on when the user interrupts.
// False where that can't be had.
bool TakeBack(OllamaClient& client, const ModelUndo& undo);

// What an undo restored or removed.
struct TakenBack {
  std::string line;                          // "restored /etc/app.toml"
  std::string target;                        // a file, or "ollama:NAME"
  std::optional<std::string> before, after;  // texts of a file, digests of a model
};

// kBusy where the model was changed since, or isn't known as the one that was to be made. nullopt:
// all is as before already.
Result<std::optional<TakenBack>> UndoOllamaModel(const ModelUndo& undo, bool dry_run);

}  // namespace trimma
