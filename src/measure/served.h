// What measuring through a server of somebody else's needs, whichever server it is (pure).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/stats.h"

namespace trimma {

// How much faster one is than the other, by pairs of samples taken together (a 0 is none); pure.
struct ServedChange {
  std::optional<MeanInterval> ratio;  // after / before, 95 %; nullopt: too few pairs to tell
  int64_t pairs = 0;
  std::string verdict;  // "faster", "slower", "no difference", "not measured"
};
ServedChange ComparePairs(const std::vector<double>& before, const std::vector<double>& after);
Json ToJson(const ServedChange& change);

// A prompt of about so many tokens that no other `number` shares a beginning with.
std::string ServedPrompt(int words, int number);

}  // namespace trimma
