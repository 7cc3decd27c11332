// Quantising what Ollama stores in its own way: the text view is quantised as any model, and put
// back between the stored file's keys and its encoder, which stays byte for byte.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "models/engine_view.h"
#include "quantize/quantize.h"

namespace trimma {

// `made`: the text view with other types. The stored file's metadata and order of tensors; where
// the view cut rows away they stay cut, and so do their tokens.
Result<GgufView> AsStored(const GgufFile& stored, const EngineView& view, const GgufFile& made);

// At most so many bytes has a stored file besides its text, whatever the types: the encoder, and
// keys.
Result<uint64_t> BytesAroundText(const GgufFile& stored, const EngineView& view);

// Quantize() of options.source, the view's file, to options.output in the stored file's form.
// Limits of size are of the whole. Needs room for the text beside the output while it is made.
Result<QuantizeReport> QuantizeAsStored(const GgufFile& stored, const EngineView& view,
                                        const QuantizeOptions& options,
                                        const QuantizeProgress& progress = {});

// What it would make by options.recipe. Exact; nothing is written.
Result<QuantizeReport> PlanAsStored(const GgufFile& stored, const EngineView& view,
                                    const QuantizeOptions& options);

}  // namespace trimma
