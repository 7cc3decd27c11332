// Whether two models speak the same tokens.
#pragma once

#include "gguf/reader.h"

namespace trimma {

// The same texts with the same numbers. false where one of them lists none.
bool SameTokens(const GgufFile& a, const GgufFile& b);

}  // namespace trimma
