// Whether two models speak the same tokens.
#pragma once

#include <optional>
#include <string>

#include "gguf/reader.h"

namespace trimma {

// The same texts with the same numbers. false where one of them lists none.
bool SameTokens(const GgufFile& a, const GgufFile& b);

// Why `draft` can't guess tokens for `model`, by the engine's own rules (common/speculative.cpp):
// one kind of tokenizer, sizes within 128 of each other, the same texts from token 5 on, the same
// start and end. nullopt: it can. A half sentence: "its token 17 is another".
std::optional<std::string> WhyNoDraft(const GgufFile& model, const GgufFile& draft);

}  // namespace trimma
