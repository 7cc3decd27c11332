// Which type each tensor gets, and what the file will be: decided before any work, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/file_type.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "plan/learning_text.h"

namespace trimma {

struct Assignment {
  std::vector<TensorType> types;   // one per tensor of the source, its order
  std::vector<std::string> notes;  // fallbacks and refusals, one sentence each
  bool changes = false;            // some tensor gets another type
};

// Applies a recipe's types to a source. A tensor that is quantised already is kept or lowered,
// never given more bits: the bits that are gone don't come back.
Assignment Assign(const GgufFile& source, const FileType& recipe,
                  const std::vector<TensorType>& recipe_types);

// Bits per weight of a type.
double BitsOf(TensorType type);

// What the output says of its making, for `inspect` and other tools: quantize.imatrix.* as
// llama-quantize writes it, and keys of our own.
struct MadeBy {
  std::string method;                // "rounded with compensation"
  std::string source_sha256;         // "" if it isn't known
  std::string dataset;               // what the errors were weighed with; "": not weighed
  uint32_t chunks = 0;               // of that text
  uint32_t entries = 0;              // matrices that it weighed
  std::optional<LearningText> text;  // the dataset in detail, where it is known
};

// Header and places of the output file: one file, whatever the source's shards. The plan and the
// pipeline both call this, so the announced size is the written one.
Result<GgufLayout> LayOutOutput(const GgufFile& source, const Assignment& assignment,
                                const FileType& recipe,
                                const std::optional<MadeBy>& made_by = std::nullopt);

}  // namespace trimma
