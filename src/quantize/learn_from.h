// The text that a run of the quantiser learns from, as its options say.
#pragma once

#include <string>

#include "quantize/calibration/text_source.h"
#include "quantize/quantize.h"

namespace trimma {

// Its name, known before there is one; without a file the model writes it.
std::string TextNameOf(const QuantizeOptions& options);

// What a child is asked for; of `chunks` at most.
TextRequest TextWanted(const QuantizeOptions& options, size_t chunks);

// Enough tokens for the second moments of columns to settle, and of whole matrices.
inline constexpr size_t kChunksForDiagonals = 128;
inline constexpr size_t kChunksForMoments = 160;

}  // namespace trimma
