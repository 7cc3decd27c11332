// A comparison of models for a terminal.
#pragma once

#include <string>

#include "measure/compare.h"

namespace trimma {

// A table of the models, how their losses compare, and their answers with the place where each
// parts from the first model's. Foreign text is made safe to show.
std::string RenderComparison(const Comparison& comparison);

// "the same", "the same for 17 tokens, then", "different from the start": how an answer relates to
// the first model's.
std::string PartingWords(const Parting& parting);

}  // namespace trimma
