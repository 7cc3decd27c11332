// The one way in which a JSON document of trimma becomes text.
#pragma once

#include <string>

#include "base/child.h"

namespace trimma {

// "schema" first (a reader knows what follows from the first line), the other fields sorted,
// two spaces of indent, a newline at the end. Invalid UTF-8 becomes U+FFFD, NaN and infinities
// null. Where foreign text holds characters that could act on a terminal (C1 controls,
// bidirectional overrides), every character beyond ASCII is written as \uXXXX.
std::string DumpDocument(const Json& document);

}  // namespace trimma
