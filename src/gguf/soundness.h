// Is a well-formed GGUF file a language model that an engine can load?
//
// The reader proves that a file holds what it says; this proves that what it says makes
// sense, for engines and planners divide by head counts and index by token numbers.
#pragma once

#include "base/result.h"
#include "gguf/reader.h"

namespace trimma {

// kInvalid with one sentence: "x.gguf is a vision projector, not a model",
// "x.gguf: llama.attention.head_count is 0". A model without a tokenizer passes
// (a ghost model has none).
Status CheckModel(const GgufFile& file);

// The same of a projector (mmproj): "x.gguf is a language model, not a projector".
Status CheckProjector(const GgufFile& file);

}  // namespace trimma
