#include "llama_server/race.h"

#include <algorithm>
#include <cmath>

namespace trimma {
namespace {

// Seconds of so many tokens at the median rate; nullopt without one.
std::optional<double> SecondsOf(int tokens, const std::vector<double>& rates) {
  if (rates.empty()) return std::nullopt;
  const double rate = MedianSpread(rates).median;
  return rate > 0 ? std::optional(tokens / rate) : std::nullopt;
}

}  // namespace

ServerRace::ServerRace(const std::vector<SpeedSubject>& candidates, const SpeedOptions& options)
    : candidates_(candidates), options_(options) {
  std::vector<std::vector<size_t>> groups;
  for (const Phases phases : {Phases::kPrefill, Phases::kDecode, Phases::kBoth}) {
    std::vector<size_t> runners = {0};
    for (size_t i = 1; i < candidates.size(); ++i)
      if (candidates[i].phases == phases) runners.push_back(i);
    if (runners.size() > 1) groups.push_back(std::move(runners));
  }
  RaceOptions race;
  race.error = options.race_error / static_cast<double>(std::max<size_t>(1, groups.size()));
  for (std::vector<size_t>& runners : groups) {
    const size_t count = runners.size();
    heats_.push_back({std::move(runners), Race(count, race)});
  }
}

std::optional<double> ServerRace::LogGain(size_t candidate, const StartFigures& anchor,
                                          const StartFigures& figures) const {
  const Phases phases = candidates_[candidate].phases;
  const int answer = phases == Phases::kDecode ? std::max(1, options_.decode_tokens)
                                               : options_.exchange.answer_tokens;
  const auto time = [&](const StartFigures& of) -> std::optional<double> {
    const auto prefill = SecondsOf(options_.prompt_tokens, of.prefill_tps);
    const auto decode = SecondsOf(answer, of.decode_tps);
    if (phases == Phases::kPrefill) return prefill;
    if (phases == Phases::kDecode) return decode;
    if (!prefill || !decode) return std::nullopt;
    return *prefill + *decode;
  };
  const auto its = time(anchor);
  const auto mine = time(figures);
  if (!its || !mine) return std::nullopt;
  return std::log(*its / *mine);
}

void ServerRace::Record(size_t candidate, double log_gain) {
  for (Heat& heat : heats_)
    for (size_t r = 1; r < heat.runners.size(); ++r)
      if (heat.runners[r] == candidate) heat.race.Record(r, log_gain);
}

void ServerRace::EndRound() {
  for (Heat& heat : heats_) heat.race.EndRound();
}

void ServerRace::Withdraw(size_t candidate) {
  for (Heat& heat : heats_)
    for (size_t r = 1; r < heat.runners.size(); ++r)
      if (heat.runners[r] == candidate) heat.race.Withdraw(r);
}

bool ServerRace::IsLeft(size_t candidate) const {
  if (candidate == 0) return true;
  for (const Heat& heat : heats_)
    for (size_t r = 1; r < heat.runners.size(); ++r)
      if (heat.runners[r] == candidate) return heat.race.IsLeft(r);
  return true;
}

bool ServerRace::Decided() const {
  return std::all_of(heats_.begin(), heats_.end(),
                     [](const Heat& heat) { return heat.race.Decided(); });
}

}  // namespace trimma
