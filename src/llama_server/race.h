// Who is still worth a start: candidates of the same phases compete with each other and with the
// first of all, by the successive elimination of measure/speed_race.h (pure).
#pragma once

#include <optional>
#include <vector>

#include "llama_server/visit.h"
#include "measure/speed_race.h"

namespace trimma {

class ServerRace {
 public:
  ServerRace(const std::vector<SpeedSubject>& candidates, const SpeedOptions& options);

  // The logarithm of the anchor's time over this candidate's, of its phases, from two starts of one
  // round; nullopt where one of them has no figure.
  std::optional<double> LogGain(size_t candidate, const StartFigures& anchor,
                                const StartFigures& figures) const;
  void Record(size_t candidate, double log_gain);
  void EndRound();
  void Withdraw(size_t candidate);  // it can't run
  // The anchor is, as long as anybody competes with it.
  bool IsLeft(size_t candidate) const;
  bool Decided() const;

 private:
  struct Heat {
    std::vector<size_t> runners;  // the anchor first
    Race race;
  };
  std::vector<SpeedSubject> candidates_;
  SpeedOptions options_;
  std::vector<Heat> heats_;
};

}  // namespace trimma
