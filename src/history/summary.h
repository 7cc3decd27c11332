// One line about a document. Pure.
#pragma once

#include <string>

#include "base/child.h"

namespace trimma {

// "measure" of "trimma.measure/1"; "" where the document has no such schema.
std::string CommandOf(const Json& document);

// The figures that one looks for in a list; "" for a document that has none of them.
std::string SummaryOf(const Json& document);

}  // namespace trimma
