// The most likely next token.
#pragma once

#include "base/result.h"
#include "engine/model.h"

namespace trimma {

// What is said of a model whose logits are no numbers.
Error NotFinite();

// kInvalid where the logits aren't finite: whatever followed would mean nothing.
Result<Token> MostLikely(const float* logits, int vocabulary);

}  // namespace trimma
