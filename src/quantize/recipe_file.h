// A choice of types as a file (JSON, trimma.recipe/1): made once, replayed exactly.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gguf/file_type.h"
#include "plan/assignment.h"

namespace trimma {

struct RecipeFile {
  std::string path;
  std::vector<std::pair<std::string, TensorType>> tensors;  // in the source's order
  const FileType* label = nullptr;                          // general.file_type of the output
};

Status WriteRecipe(const std::string& path, const GgufFile& source, const Assignment& assignment,
                   const FileType& label);
Result<RecipeFile> ReadRecipe(const std::string& path);

// kInvalid where the recipe is of another model: other tensors, or types that their rows can't
// have.
Result<Assignment> ApplyRecipe(const RecipeFile& recipe, const GgufFile& source);

// The types that a file has.
std::vector<TensorType> TypesOf(const GgufFile& file);

}  // namespace trimma
