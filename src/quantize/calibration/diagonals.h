// Sums of squares of the inputs of a model's matrices over a text, column by column: llama.cpp's
// importance matrix.
#pragma once

#include <functional>
#include <string>

#include "engine/activations.h"
#include "engine/model.h"
#include "engine/token_text.h"
#include "gguf/reader.h"

namespace trimma {

// `progress` gets the share done. Chunks and datasets of the result are those of the text.
Result<Importance> GatherDiagonals(const Model& model, const TokenText& text,
                                   ActivationTap::Matrices matrices,
                                   const std::function<void(double)>& progress);

// Whether tokens choose among matrices of this model: a mixture of experts.
bool HasExperts(const GgufFile& model);

// "3 of 96 matrices of experts saw no token ..."; "" where all saw some.
std::string UnseenExpertsNote(const Importance& importance);

}  // namespace trimma
