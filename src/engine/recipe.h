// llama.cpp's own recipes: which type each tensor gets in a "Q4_K_M".
#pragma once

#include <map>
#include <vector>

#include "base/result.h"
#include "engine/model.h"
#include "gguf/file_type.h"

namespace trimma {

// One type per tensor of `file` (its order), asked of the engine, fallbacks for odd row lengths
// included. `ghost` is a ghost of `file`. The engine decides as without importance data, which
// gives a few tensors of the IQ3 and IQ4 recipes a larger type. `forced`: tensors, by their place
// in the file, whose types llama-quantize would be given (--tensor-type): the recipe deals out its
// larger types among the others. Recipes that quantise nothing pass over them.
std::vector<TensorType> RecipeTypes(const Model& ghost, const GgufFile& file,
                                    const FileType& recipe,
                                    const std::map<size_t, TensorType>& forced = {});

}  // namespace trimma
