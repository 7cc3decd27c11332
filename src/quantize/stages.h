// The stages of a file made to measure: what they leave in the workshop, and what they depend on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "quantize/allocation/exchange_job.h"
#include "quantize/allocation/sensitivity.h"
#include "quantize/quantize.h"

namespace trimma {

namespace stage {
inline constexpr const char* kMoments = "moments.gguf";
inline constexpr const char* kTokens = "tokens.json";
inline constexpr const char* kExperts = "experts.gguf";  // where the model has any
inline constexpr const char* kCarrier = "carrier.gguf";  // gone once the types are chosen
inline constexpr const char* kWorths = "worths.json";
inline constexpr const char* kExchanged = "exchanged.json";  // of the latest allocation

// As the progress line calls them.
inline constexpr const char* kReading = "reading the calibration text";
inline constexpr const char* kCarrying = "making a carrier of 8 bits";
inline constexpr const char* kMeasuring = "measuring what each tensor is worth";
inline constexpr const char* kExchanging = "exchanging types on the real divergence";
inline constexpr const char* kQuantising = "quantising";
}  // namespace stage

// What the stages depend on: a run that differs in nothing of it may use what is there.
std::string StagesKey(const QuantizeOptions& options, const GgufFile& source);

// Where a run of this key works: beside the output, or of --work one folder for each source and
// text, so that none pushes another out.
std::string StagesDirectory(const QuantizeOptions& options, const std::string& key);

// What exchanges from a mix depend on.
Json TrialsOf(const QuantizeOptions& options, const MixChoices& choices);
// What the same trials came to when they were made; nullopt: they were not.
std::optional<Exchanged> KeptExchanges(const std::string& path, const Json& trials);
Status KeepExchanges(const std::string& path, const Json& trials, const Exchanged& exchanged);

// What the measured sensitivities say, kept in a file.
Result<std::vector<TensorWorth>> ReadWorths(const std::string& path);

}  // namespace trimma
