// Hands what was measured to later plans.
#pragma once

#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "engine/runtime.h"
#include "gguf/reader.h"
#include "measure/quality.h"

namespace trimma {

// What the reference of a measurement runs with: as the candidate, but with its cache in full, so
// that what a quantised cache loses is counted.
RuntimeSettings ReferenceSettings(RuntimeSettings candidate);

struct JudgedFile {
  const GgufFile& file;
  const RuntimeSettings& settings;
  bool importance = false;  // made with importance data
  bool lasting = true;      // stays where it is, so that its hash is worth having
};

// Keeps a measurement against `reference` (hashing what isn't hashed yet; this takes seconds for
// gigabytes). A measurement that can't be kept is only not known to later plans: a warning.
void KeepQuality(const GgufFile& reference, const JudgedFile& judged, const Quality& quality,
                 Progress& progress);

// As llama-quantize notes it in the file.
bool MadeWithImportance(const GgufFile& file);

}  // namespace trimma
