// Records of what was found out on this machine: kept, found again, and what to write from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "gguf/reader.h"
#include "models/models.h"
#include "report/record.h"
#include "settings/applied.h"

namespace trimma {

// Keeps a record's document in the state directory; returns its path.
Result<std::string> KeepRecord(const Json& document, const std::string& created);

// The newest record of this machine. kNotFound if there is none.
Result<std::string> NewestRecord();

// The newest record about this model: named so when it was optimised, or at this path before or
// after. kNotFound if there is none.
Result<std::string> RecordFor(const std::string& model);

// The model in Ollama that `optimize` or `apply` made last with this record; "" if none was.
std::string OllamaMadeFrom(const std::string& record_path);

// Notes it in the record that this machine keeps, if it does; the file that was named stays.
Status NoteMadeInOllama(const std::string& record_path, const Json& model);

// What a record says should be written. kInvalid if the document is none of ours.
Result<Applied> AppliedFromRecord(const std::string& path);

Applied AppliedFrom(const OptimizeRecord& record);

// What an application calls the model: an Ollama name as it is while the weights are its own; else
// the file's name without ".gguf", in lower case, as it would be given to `ollama create`.
std::string ServedName(const std::string& argument, bool weights_kept,
                       const std::string& model_path);

// Ollama's name of the model that a user named so and that lies at this path; "" if it isn't
// Ollama's.
std::string OllamaOriginal(const std::string& argument, const std::string& model_path);

// The temperature and top_p to write. "model" takes the model's own recommendation from its
// metadata, where it has one; else the named profile.
Result<Sampling> ChooseSampling(const GgufFile& file, const std::string& profile);

// What a model's own metadata recommends (general.sampling.*).
struct RecommendedSampling {
  std::optional<double> temperature, top_p, min_p;
  std::optional<int64_t> top_k;
  bool Any() const { return temperature || top_p || min_p || top_k; }
};
RecommendedSampling RecommendedBy(const GgufFile& file);

// "llama.cpp v0.5.0 (de3ff815ea7d)".
std::string EngineText();

}  // namespace trimma
