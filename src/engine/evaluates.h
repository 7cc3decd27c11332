// Whether the engine can tell what goes on in a model at all.
#pragma once

#include <string>

#include "engine/model.h"

namespace trimma {

// What is wanted of an evaluation: that the inputs of its matrices can be seen, or predictions of
// the next token as well.
enum class Wanted { kInputs, kPredictions };

// Why the engine can't give that, in a few words; "" where it can. Evaluates one token. Errors: an
// interrupt.
Result<std::string> WhyNotEvaluated(const Model& model, Wanted wanted);

}  // namespace trimma
