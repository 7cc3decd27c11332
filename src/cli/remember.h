// The one way in which commands keep what they found out, and find it again.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "history/history.h"
#include "history/provenance.h"

namespace trimma {

// What a result about this model would rest on now. `model_path` is its file, or its first shard;
// "" leaves the model out.
Provenance ProvenanceNow(const std::string& model_path);

// The same in its two parts, for many models: the machine is looked at once.
Provenance MachineNow();
Provenance WithModel(Provenance machine, const std::string& model_path);

// Appends a command's document to the history, after it was printed: nobody waits for a result on
// account of another process's lock, and nobody for long; an interrupt ends the wait. Whatever is
// wrong with the history never fails the command: it is said on standard error.
void Remember(const Json& document, const std::string& model_path);

// What a command ends with: prints its document (`json`) or its text, then remembers the document.
Status PrintAndRemember(const Json& document, const std::string& text, bool json,
                        const std::string& model_path);

// The newest run of this command about this model (of those whose document `accept` takes), and
// what changed since. nullopt where there is none, or no history that could be read.
struct EarlierRun {
  HistoryEntry entry;
  Staleness staleness;
  std::string Text() const;  // one sentence
};
std::optional<EarlierRun> FindEarlierRun(const std::string& command, const std::string& model_path,
                                         const std::function<bool(const Json&)>& accept = {});

}  // namespace trimma
