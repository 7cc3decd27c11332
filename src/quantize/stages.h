// The stages of a file made to measure: what they leave in the workshop, and what they depend on.
#pragma once

#include <string>
#include <vector>

#include "gguf/reader.h"
#include "quantize/allocation/sensitivity.h"
#include "quantize/quantize.h"

namespace trimma {

namespace stage {
inline constexpr const char* kMoments = "moments.gguf";
inline constexpr const char* kTokens = "tokens.json";
inline constexpr const char* kExperts = "experts.gguf";  // where the model has any
inline constexpr const char* kCarrier = "carrier.gguf";  // gone once the worths are there
inline constexpr const char* kWorths = "worths.json";

// As the progress line calls them.
inline constexpr const char* kReading = "reading the calibration text";
inline constexpr const char* kCarrying = "making a carrier of 8 bits";
inline constexpr const char* kMeasuring = "measuring what each tensor is worth";
inline constexpr const char* kQuantising = "quantising";
}  // namespace stage

// What the stages depend on: a run that differs in nothing of it may use what is there.
std::string StagesKey(const QuantizeOptions& options, const GgufFile& source);

// Where a run of this key works: beside the output, or of --work one folder for each source and
// text, so that none pushes another out.
std::string StagesDirectory(const QuantizeOptions& options, const std::string& key);

// What the measured sensitivities say, kept in a file.
Result<std::vector<TensorWorth>> ReadWorths(const std::string& path);

}  // namespace trimma
