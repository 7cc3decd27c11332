// Passages of a prompt that say again what stands there already. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace trimma {

// A sentence, or a line without a full stop.
struct Passage {
  int line = 0;  // that it begins on, counted from 1
  std::string text;
  bool operator==(const Passage&) const = default;
};

// Cut at ends of lines, and behind . ! ? (and their wide forms) where a space follows. Passages
// without a letter or a digit (rules, blank lines) are left out.
std::vector<Passage> SplitPassages(const std::string& text);

struct Repeat {
  int line = 0;            // of the passage that could go
  int first_line = 0;      // of the one before it that says the same
  bool exact = false;      // the same but for letters' case and spaces
  double resemblance = 0;  // share of their token trigrams that both have; 1 where exact
  int tokens = 0;          // that dropping it saves
  std::string text;
  bool operator==(const Repeat&) const = default;
};

// Each passage that resembles an earlier one by at least half of their trigrams together: the
// measure and the limit of Broder, Glassman, Manasse and Zweig, "Syntactic clustering of the web"
// (1997), with shingles of 3 tokens, for a sentence is short: of twelve tokens with one in the
// middle replaced, 7 of 13 trigrams are shared, and the sentence still counts as the same.
// `tokenize` gives the tokens of a text.
std::vector<Repeat> FindRepeats(
    const std::vector<Passage>& passages,
    const std::function<std::vector<int32_t>(const std::string&)>& tokenize);

}  // namespace trimma
