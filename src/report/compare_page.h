// A comparison of models as one self-contained HTML page: no network, no script.
#pragma once

#include <string>

#include "measure/compare.h"

namespace trimma {

// Answers stand side by side; what parts from the first model's is marked. Every string is escaped.
std::string RenderComparePage(const Comparison& comparison);

}  // namespace trimma
