// What the steps of one optimisation may take, as shares of --seconds (pure).
#pragma once

namespace trimma {

inline constexpr double kCandidatesShare = 1.0 / 2;  // types made, judged and timed
inline constexpr double kJudgingShare = 1.0 / 3;  // of the outcome, where no candidate was judged
inline constexpr double kJudgingTextShare = 1.0 / 6;  // of that, for text that has to be generated
inline constexpr double kSideBySideShare =
    1.0 / 6;  // before and after, where the weights are others

// Tuning has what no other step of the run needs.
constexpr double TuningShare(bool candidates_were_judged, bool same_weights) {
  return 1 - (candidates_were_judged ? kCandidatesShare : kJudgingShare) -
         (same_weights ? 0 : kSideBySideShare);
}

}  // namespace trimma
