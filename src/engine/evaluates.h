// Whether the engine can tell a model's predictions at all.
#pragma once

#include <string>

#include "engine/model.h"

namespace trimma {

// Why not, in a few words: "it is an encoder and a decoder", "it predicts no tokens", or what the
// engine says; "" where one token's predictions come out. Errors: an interrupt.
Result<std::string> WhyNotEvaluated(const Model& model);

}  // namespace trimma
