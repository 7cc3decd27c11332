// What the steps of one optimisation may take, as shares of --seconds (pure).
#pragma once

namespace trimma {

inline constexpr double kCandidatesShare = 1.0 / 2;   // types made, judged and timed
inline constexpr double kJudgingShare = 1.0 / 3;      // where none was: the outcome judged,
inline constexpr double kJudgingTextShare = 1.0 / 6;  // after its text is generated, unless given
inline constexpr double kSideBySideShare = 1.0 / 6;   // before and after, if the weights are others

struct OtherSteps {
  bool candidates = false;    // were made and judged
  bool text_is_given = true;  // to judge on
  bool same_weights = false;
};

// Tuning has what no other step of the run needs.
constexpr double TuningShare(const OtherSteps& steps) {
  double left = 1;
  if (steps.candidates) {
    left -= kCandidatesShare;
  } else {
    left -= kJudgingShare + (steps.text_is_given ? 0 : kJudgingTextShare);
  }
  return left - (steps.same_weights ? 0 : kSideBySideShare);
}

}  // namespace trimma
