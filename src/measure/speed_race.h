// Which of several candidates is the fastest, decided while they are measured (pure).
//
// Successive elimination: in every round each candidate that is left gives one figure, the
// logarithm of its gain over the anchor (candidate 0, whose gain is 0). Who can't be better than
// the leader by a difference that is felt is measured no further, so that time goes to those that
// are undecided. Candidates are compared round by round, in pairs: what slows a whole round slows
// both. The chance that the best is ever eliminated by one that is worse is at most `error`,
// over all candidates and all looks together: each comparison gets its share (Bonferroni), and look
// k the share 6 / (pi k)^2, which sum to 1 however long the race.
#pragma once

#include <cstddef>
#include <vector>

#include "base/stats.h"

namespace trimma {

struct RaceOptions {
  double error = 0.05;
  // Differences of the logarithm that nobody feels, about 1 %.
  double felt = 0.01;
};

class Race {
 public:
  Race(size_t candidates, const RaceOptions& options);

  // At most once a round for each but the anchor; a candidate may miss rounds.
  void Record(size_t candidate, double log_gain);
  // Ends the round; at some rounds (3, 4, 6, 8, 12, ...) looks at who is left.
  void EndRound();
  // It can't run, so it isn't the best.
  void Withdraw(size_t candidate);

  // Still worth measuring, or the leader.
  bool IsLeft(size_t candidate) const { return left_[candidate]; }
  // Nobody is left who could beat the leader by a felt difference.
  bool Decided() const;
  // The best by now: the anchor until another is better on average.
  size_t Leader() const;
  // How much better than the leader one of those left may still be: the logarithm, 0 if decided.
  // Infinite before the first look.
  double Undecided() const { return undecided_; }

 private:
  std::vector<double> Lead(size_t candidate, size_t over) const;
  double Mean(size_t candidate) const;

  struct Figure {
    int round;
    double log_gain;
  };
  RaceOptions options_;
  std::vector<std::vector<Figure>> figures_;
  std::vector<bool> left_;
  int round_ = 0;
  int looks_ = 0;
  double undecided_;
};

}  // namespace trimma
