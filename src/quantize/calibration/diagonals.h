// Sums of squares of the inputs of a model's matrices over a text, column by column: llama.cpp's
// importance matrix.
#pragma once

#include <functional>

#include "engine/activations.h"
#include "engine/model.h"
#include "engine/token_text.h"

namespace trimma {

// `progress` gets the share done. Chunks and datasets of the result are those of the text.
Result<Importance> GatherDiagonals(const Model& model, const TokenText& text,
                                   ActivationTap::Matrices matrices,
                                   const std::function<void(double)>& progress);

}  // namespace trimma
