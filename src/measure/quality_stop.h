// When a measurement of quality has said what it was asked.
//
// Looking again and again at a 95 % interval, and stopping when it happens to exclude something, is
// wrong far more often than one time in 20. So the 5 % are spent on the looks: half of them on
// looks at 8, 12, 18, 27 ... chunks, the k-th of which may be wrong with 1 / (k (k + 1)) of that
// half, and half on the last look, at the end of the text. The shares add up to at most 5 % however
// many looks there are (a union bound: it needs no independence between them). Pure;
// quality_stop_test.cc counts wrong answers in simulated measurements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/divergence_interval.h"

namespace trimma {

struct Questions {
  std::optional<double> max_kld;    // is a candidate's mean divergence below or above this?
  bool better = false;              // which of the candidates loses least?
  std::optional<double> precision;  // is every mean known within this share, at 95 %?
  bool any() const { return max_kld || better || precision; }
};

// An answer, or why there is none.
struct Decision {
  std::string question;             // "max_kld", "better" or "precision"
  std::optional<size_t> candidate;  // whom it is about; of "better": who won
  bool settled = false;
  std::string answer;      // "below", "above", "better", "reached"; "open" where not settled
  MeanInterval interval;   // that settled it, or did not: as wide as the look's share demands
  int looks = 0;           // taken until then
  double more_chunks = 0;  // where open: about so many more would settle it; infinity: none would
};

Json ToJson(const Decision& decision);
Decision DecisionFromJson(const Json& json);  // throws what nlohmann throws

// Is this number of chunks one at which to look?
bool IsLook(int chunks);
// The level of the interval at look `look` (1 is the first): 1 minus its share of the 5 %.
double LookLevel(int look, bool last);

// The answers at one look. `klds`: of each candidate, over the same chunks.
std::vector<Decision> Decide(const Questions& questions, const std::vector<ChunkSums>& klds,
                             int look, bool last);

// A measurement as it goes on: an answer that was given stays.
class Deciding {
 public:
  explicit Deciding(Questions questions) : questions_(questions) {}
  // After every chunk; looks where it is time to, and at the end.
  void Look(const std::vector<ChunkSums>& klds, bool last);
  bool settled() const;  // every question has its answer
  const std::vector<Decision>& decisions() const { return decisions_; }

 private:
  Questions questions_;
  int looks_ = 0;
  std::vector<Decision> decisions_;
};

}  // namespace trimma
