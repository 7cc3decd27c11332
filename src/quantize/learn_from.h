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

// Enough tokens for the second moments of columns to settle.
inline constexpr size_t kChunksForDiagonals = 128;

// Chunks of 512 tokens to read for second moments of whole matrices and for sensitivities: 160, and
// up to twice as many of a model that is evaluated quickly. `weights`: of the whole model.
size_t ChunksForMoments(uint64_t weights);

// Chunks that each of `trials` sensitivities is measured on: 8, and up to 40 where all trials
// together stay quick.
size_t ChunksForSensitivity(uint64_t weights, size_t trials, size_t chunk_tokens);

}  // namespace trimma
