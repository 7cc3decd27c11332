// The order in which a round measures its candidates (pure).
#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include "measure/speed.h"

namespace trimma {

// `members`, indices of `subjects`, in random order, so that nobody always follows the same one.
// Where only one model may be loaded at a time (`one_resident`), those of one placement follow each
// other, and those of one context among them, so that each is loaded once a round; the anchor's
// own, which is subject 0 and was measured last, stand at one of the ends.
std::vector<size_t> RoundOrder(const std::vector<SpeedSubject>& subjects,
                               std::vector<size_t> members, bool one_resident,
                               std::mt19937& random);

}  // namespace trimma
