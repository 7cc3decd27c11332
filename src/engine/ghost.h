// Ghost models: a header and a hole. The engine prices one exactly as the real file, so a model
// needs no weights to be priced, and a mix of types that nobody made yet is priced by writing
// its header. The tokenizer is left out, which makes a load 5 ms instead of 460.
#pragma once

#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "engine/model.h"
#include "gguf/reader.h"

namespace trimma {

// A ghost in memory. `types` holds one type per tensor of `file` (its order), or is empty for
// the file's own. The Model is loaded with no_alloc, whatever `options` say of it; only prices
// and recipes may be asked of it.
Result<Model> LoadGhost(const GgufFile& file, const std::vector<TensorType>& types,
                        Model::Options options = {});

// A file's header without its tokenizer, on its way to a child process: what a ghost is made of.
// The child needs neither the file nor the quarter of a million tokens that the parent has read.
Json GhostToJson(const GgufFile& file);
Result<GgufFile> GhostFromJson(const Json& json);  // read as strictly as a file

}  // namespace trimma
