// What Ollama stores is not always what llama.cpp reads: its converters keep a vision encoder in
// the model's own file, name some keys and tensors otherwise, and leave out what their own runner
// knows. An engine view says, from the header alone, how such a file is to be read: as a language
// model, and as a projector (mmproj). Pure; nothing is written (models/view_cache.h does that).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/reader.h"
#include "gguf/view.h"

namespace trimma {

// Raised with every change of what the views say: files written from them are then made anew.
inline constexpr int kEngineViewVersion = 1;

struct EngineView {
  GgufView text;                      // the language model alone
  std::optional<GgufView> projector;  // nullopt: there is none in the file, or none can be shown
  std::string no_projector;           // why it can't; "" where there is none
  uint64_t projector_bytes = 0;       // of the encoder's tensors, as stored
};

// nullopt: the engine reads the file as it is. kInvalid, with one sentence, where it can't and
// there is no view of the architecture.
Result<std::optional<EngineView>> EngineViewOf(const GgufFile& file);

// Whether the file of a language model holds a vision or audio encoder too.
bool HoldsProjector(const GgufFile& file);

}  // namespace trimma
