// What a result rests on, and whether that is still so. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/child.h"

namespace trimma {

struct Provenance {
  std::string engine_commit;  // of llama.cpp
  std::string driver;         // of the graphics cards; "": there is none
  std::string machine;        // processor, threads, cards
  std::string model_quick;    // QuickHash() of the file
  std::string model_sha256;   // of the whole file; "": not known
  bool operator==(const Provenance&) const = default;
};
Json ToJson(const Provenance& provenance);

struct ProvenanceChange {
  std::string what;      // "engine", "driver", "machine", "model"
  std::string sentence;  // "the engine was ..., and is ... now"
};

struct Staleness {
  std::vector<ProvenanceChange> changes;
  bool stale() const { return !changes.empty(); }
  std::string Text() const;  // the sentences, joined; "" where nothing changed
};

// The model counts as changed by its whole hash where both are known, else by the quick one.
Staleness Compare(const Provenance& then, const Provenance& now);

}  // namespace trimma
