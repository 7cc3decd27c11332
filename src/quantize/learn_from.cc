#include "quantize/learn_from.h"

#include <algorithm>
#include <filesystem>

namespace trimma {
namespace {

constexpr size_t kFewestChunks = 160;
constexpr size_t kMostChunks = 320;
constexpr size_t kFewestToSelect = 8;
constexpr size_t kMostToSelect = 40;
constexpr double kTokensOfAChunk = 512;
// Operations that more text than the fewest chunks may cost: some minutes of two cores.
constexpr double kMomentOperations = 3e13;
constexpr double kSensitivityOperations = 1e14;

// A multiplication and an addition for each weight and token.
double Operations(uint64_t weights, double tokens) {
  return 2 * static_cast<double>(std::max<uint64_t>(weights, 1)) * tokens;
}

size_t Between(size_t fewest, double affordable, size_t most) {
  return static_cast<size_t>(
      std::clamp(affordable, static_cast<double>(fewest), static_cast<double>(most)));
}

}  // namespace

size_t ChunksForMoments(uint64_t weights) {
  return Between(kFewestChunks, kMomentOperations / Operations(weights, kTokensOfAChunk),
                 kMostChunks);
}

size_t ChunksForSensitivity(uint64_t weights, size_t trials, size_t chunk_tokens) {
  const double tokens = static_cast<double>(std::max<size_t>(trials, 1) * chunk_tokens);
  return Between(kFewestToSelect, kSensitivityOperations / Operations(weights, tokens),
                 kMostToSelect);
}

std::string TextNameOf(const QuantizeOptions& options) {
  if (!options.calibration_text) return NameOfText("", true);
  return NameOfText(std::filesystem::path(*options.calibration_text).filename().string(),
                    options.generate_text);
}

TextRequest TextWanted(const QuantizeOptions& options, size_t chunks) {
  return {options.calibration_text, options.generate_text, options.generate_seconds, chunks};
}

}  // namespace trimma
