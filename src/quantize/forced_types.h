// Types that the user gives tensors by name (`--tensor-type`), whatever a recipe or an allocation
// would say. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/file_type.h"
#include "gguf/reader.h"
#include "plan/assignment.h"

namespace trimma {

// A regular expression (ECMAScript, any case) that is found anywhere in a tensor's name, as
// llama-quantize finds it.
struct TypePattern {
  std::string pattern;
  TensorType type{};
};

// "attn_v=Q6_K": cut at the last "=". kUsage for an unknown type, with the nearest, or a bad
// expression.
Result<TypePattern> ParseTypePattern(const std::string& text);

struct ForcedTypes {
  std::map<size_t, TensorType> types;  // by the tensor's place in the source
  std::vector<std::string> notes;      // what each pattern found, one sentence each
};

// Of the patterns that are found in a tensor's name the first counts, and only for tensors that
// llama.cpp quantises: `as_q8_0` are the types that its Q8_0 recipe gives. A tensor that is
// quantised already is kept or lowered, as recipes do. kUsage where a pattern finds no such
// tensor, or one whose rows can't have the type.
Result<ForcedTypes> MatchPatterns(const std::vector<TypePattern>& patterns, const GgufFile& source,
                                  const std::vector<TensorType>& as_q8_0);

// A recipe's types for the other tensors, the forced types for theirs.
Assignment AssignAround(const ForcedTypes& forced, const GgufFile& source, const FileType& recipe,
                        std::vector<TensorType> recipe_types);

// The forced types into an assignment that is there.
void Force(const ForcedTypes& forced, const GgufFile& source, Assignment& assignment);

// llama.cpp refuses to make it without importance data of the tensor.
bool NeedsImportance(TensorType type);

}  // namespace trimma
