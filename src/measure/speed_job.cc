// The child's side of measuring speed.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "measure/speed.h"
#include "measure/speed_anchor.h"
#include "measure/speed_background.h"
#include "measure/speed_order.h"
#include "measure/speed_pool.h"
#include "measure/speed_race.h"
#include "measure/speed_visit.h"

namespace trimma {
namespace {

// Visits of others between two of the anchor. Fewer notice drift sooner, more cost less: a fifth of
// the time goes to the anchor.
constexpr size_t kAnchorEvery = 4;

struct Candidate {
  SpeedSubject subject;
  std::optional<Error> error;
  int warm_ups = 0;
  std::vector<double> load_ms;
  std::vector<Visit> visits;     // of steady stretches
  std::vector<Visit> discarded;  // of the others
  std::vector<double> log_gains;
};

// Candidates that compete: of the same phases, and the anchor, which is the race's candidate 0.
struct Heat {
  Phases phases;
  std::vector<size_t> runners;
  Race race;
};

bool WasInterrupted(const Error& error) {
  return error.code == Code::kInterrupted || error.code == Code::kTerminated;
}

void AddEnergy(std::optional<EnergyUse>& to, const std::optional<double>& joules, double seconds,
               int tokens) {
  // The counter lags behind: of a short span it tells what the work before it used.
  if (!joules || seconds < kShortestEnergySpan) return;
  if (!to) to.emplace();
  to->Add({*joules, seconds, static_cast<double>(tokens)});
}

class SpeedRun {
 public:
  SpeedRun(const SpeedOptions& options, const Emit& emit)
      : options_(options),
        emit_(emit),
        beat_(emit),
        pool_(options, beat_),
        visitor_(options, beat_),
        watch_(kFelt) {}

  Status Prepare(const Json& subjects);
  Status Measure();
  Json Report() const;

 private:
  static constexpr double kFelt = RaceOptions().felt;

  Status GetReady(size_t i);
  Result<Visit> VisitOf(size_t i, Phases phases);
  void Fail(size_t i, const Error& error);
  bool IsLeft(size_t i) const;
  bool Decided() const;
  Phases Needed(int round) const;
  Status Round(int round, const std::vector<size_t>& order);
  Status Stretch(const std::vector<size_t>& members, Phases anchor_phases);
  void Judge(size_t i, const Visit& visit, const Visit& anchor);
  Speed Summarise(const Candidate& candidate) const;
  void SayProgress(int round) const;
  bool HasTimeFor(size_t visits, size_t done, int round) const;

  SpeedOptions options_;
  const Emit& emit_;
  Beat beat_;
  SpeedPool pool_;
  SpeedVisitor visitor_;
  DriftWatch watch_;
  std::vector<Candidate> candidates_;
  std::vector<Heat> heats_;
  Visit anchor_;  // its last visit
  bool anchor_is_kept_ = false;
  SpeedConditions conditions_;
  double begun_ = 0;
  double start_ = 0;  // of the first visit that counts
};

void SpeedRun::Fail(size_t i, const Error& error) {
  candidates_[i].error = error;
  for (Heat& heat : heats_) {
    for (size_t r = 1; r < heat.runners.size(); ++r) {
      if (heat.runners[r] == i) heat.race.Withdraw(r);
    }
  }
}

bool SpeedRun::IsLeft(size_t i) const {
  if (candidates_[i].error) return false;
  for (const Heat& heat : heats_) {
    for (size_t r = 1; r < heat.runners.size(); ++r) {
      if (heat.runners[r] == i) return heat.race.IsLeft(r) && !heat.race.Decided();
    }
  }
  return true;
}

bool SpeedRun::Decided() const {
  return !heats_.empty() && std::all_of(heats_.begin(), heats_.end(),
                                        [](const Heat& heat) { return heat.race.Decided(); });
}

// What the anchor is measured for: both phases at first, then only what somebody is compared in.
Phases SpeedRun::Needed(int round) const {
  if (round < options_.min_rounds || heats_.empty()) return Phases::kBoth;
  bool prefill = false;
  bool decode = false;
  for (const Heat& heat : heats_) {
    if (heat.race.Decided()) continue;
    prefill = prefill || heat.phases != Phases::kDecode;
    decode = decode || heat.phases != Phases::kPrefill;
  }
  return prefill == decode ? Phases::kBoth : prefill ? Phases::kPrefill : Phases::kDecode;
}

Result<Visit> SpeedRun::VisitOf(size_t i, Phases phases) {
  emit_({{"at", i}});
  Candidate& candidate = candidates_[i];
  TRY(Resident * resident, pool_.Get(candidate.subject));
  if (resident->fresh || candidate.warm_ups == 0) {
    const bool is_first = i == 0 && candidate.warm_ups == 0;
    TRY(const int warm_ups, visitor_.WarmUp(*resident, candidate.subject, is_first));
    candidate.warm_ups += warm_ups;
  }
  return visitor_.Measure(*resident, candidate.subject, phases);
}

Status SpeedRun::Prepare(const Json& subjects) {
  begun_ = visitor_.Now();
  for (const Json& item : subjects) {
    Candidate candidate;
    TRY(candidate.subject, SpeedSubjectFromJson(item));
    candidates_.push_back(std::move(candidate));
  }
  if (candidates_.empty()) return Error{Code::kUsage, "no settings to measure", ""};
  const bool on_card = std::any_of(candidates_.begin(), candidates_.end(),
                                   [](const Candidate& c) { return UsesCard(c.subject.settings); });
  if (on_card) visitor_.WatchEnergy();
  if (options_.race) {
    for (const Phases phases : {Phases::kPrefill, Phases::kDecode, Phases::kBoth}) {
      std::vector<size_t> runners = {0};
      for (size_t i = 1; i < candidates_.size(); ++i) {
        if (candidates_[i].subject.phases == phases) runners.push_back(i);
      }
      if (runners.size() > 1) heats_.push_back({phases, runners, Race(runners.size(), {})});
    }
    for (Heat& heat : heats_) {
      const double error = options_.race_error / static_cast<double>(heats_.size());
      heat.race = Race(heat.runners.size(), {error, kFelt});
    }
  }
  // Loads, which another candidate of the same placement needn't repeat; then the first visit of
  // each, so that whoever can't run is known before the first round.
  for (size_t i = 0; i < candidates_.size(); ++i) {
    Candidate& candidate = candidates_[i];
    emit_({{"at", i}});
    for (size_t j = 0; j < i && candidate.load_ms.empty(); ++j) {
      if (SamePlacement(candidates_[j].subject, candidate.subject))
        candidate.load_ms = candidates_[j].load_ms;
    }
    const Status ready = GetReady(i);
    if (ready.ok()) continue;
    // A file that isn't there is no matter of settings, and without the anchor nothing is compared.
    if (i == 0 || ready.error().code == Code::kNotFound || WasInterrupted(ready.error()))
      return ready.error();
    Fail(i, ready.error());
  }
  return {};
}

// Times its loads where no candidate before it has the same, and warms it up.
Status SpeedRun::GetReady(size_t i) {
  Candidate& candidate = candidates_[i];
  if (candidate.load_ms.empty()) {
    TRY(candidate.load_ms, pool_.TimeLoads(candidate.subject));
  }
  TRY(Resident * resident, pool_.Get(candidate.subject));
  TRY(const int warm_ups, visitor_.WarmUp(*resident, candidate.subject, i == 0));
  candidate.warm_ups += warm_ups;
  return {};
}

void SpeedRun::Judge(size_t i, const Visit& visit, const Visit& anchor) {
  Candidate& candidate = candidates_[i];
  const auto time = [&](const Candidate& c, const Visit& v) -> std::optional<double> {
    switch (candidate.subject.phases) {
      case Phases::kPrefill:
        return v.prefill;
      case Phases::kDecode: {
        if (!v.decode) return std::nullopt;
        const Exchange answers = {options_.decode_tokens, options_.exchange.users};
        return ExchangeTime(answers, options_.decode_tokens, c.subject.settings.parallel, 0,
                            *v.decode);
      }
      case Phases::kBoth:
        break;
    }
    if (!v.prefill || !v.decode) return std::nullopt;
    return ExchangeTime(options_.exchange, options_.decode_tokens, c.subject.settings.parallel,
                        *v.prefill, *v.decode);
  };
  const auto mine = time(candidate, visit);
  const auto its = time(candidates_[0], anchor);
  if (!mine || !its) return;
  const double log_gain = std::log(*its / *mine);
  candidate.log_gains.push_back(log_gain);
  for (Heat& heat : heats_) {
    for (size_t r = 1; r < heat.runners.size(); ++r) {
      if (heat.runners[r] == i) heat.race.Record(r, log_gain);
    }
  }
}

// Some candidates between two visits of the anchor.
Status SpeedRun::Stretch(const std::vector<size_t>& members, Phases anchor_phases) {
  std::vector<std::pair<size_t, Visit>> visits;
  for (const size_t i : members) {
    const auto visit = VisitOf(i, candidates_[i].subject.phases);
    if (visit.ok()) {
      visits.emplace_back(i, *visit);
    } else if (WasInterrupted(visit.error())) {
      return visit.error();
    } else {
      Fail(i, visit.error());
    }
  }
  TRY(const Visit after, VisitOf(0, anchor_phases));
  if (watch_.Judges()) ++conditions_.segments;
  const bool drifted = watch_.Drifted(anchor_, after);
  if (drifted) ++conditions_.discarded;
  if (!drifted && !anchor_is_kept_) candidates_[0].visits.push_back(anchor_);
  if (drifted && !anchor_is_kept_) candidates_[0].discarded.push_back(anchor_);
  if (!drifted) candidates_[0].visits.push_back(after);
  anchor_is_kept_ = !drifted;
  for (const auto& [i, visit] : visits) {
    if (drifted) {
      candidates_[i].discarded.push_back(visit);
    } else {
      candidates_[i].visits.push_back(visit);
      Judge(i, visit, AnchorAt(anchor_, after, visit.at));
    }
  }
  anchor_ = after;
  return {};
}

Status SpeedRun::Round(int round, const std::vector<size_t>& order) {
  const Phases anchor_phases = Needed(round);
  // A stretch has the same phases at both ends.
  const bool wider = (anchor_phases != Phases::kDecode && !anchor_.prefill) ||
                     (anchor_phases != Phases::kPrefill && !anchor_.decode);
  if (wider) {
    TRY(anchor_, VisitOf(0, anchor_phases));
    anchor_is_kept_ = false;
  }
  std::vector<size_t> members;
  for (const size_t i : order) {
    members.push_back(i);
    if (members.size() == kAnchorEvery) {
      TRY_STATUS(Stretch(members, anchor_phases));
      members.clear();
    }
  }
  if (!members.empty()) {
    TRY_STATUS(Stretch(members, anchor_phases));
  }
  for (Heat& heat : heats_) heat.race.EndRound();
  return {};
}

void SpeedRun::SayProgress(int round) const {
  const double by_rounds = static_cast<double>(round + 1) / options_.rounds;
  const double by_time = (visitor_.Now() - start_) / options_.budget_seconds;
  emit_({{"progress", std::min(1.0, std::max(by_rounds, by_time))}});
}

// Whether so many visits more, as long as the `done` ones took on average, end in time: within the
// budget, once `round` is none of those that are done anyway, and within what there is in all.
bool SpeedRun::HasTimeFor(size_t visits, size_t done, int round) const {
  if (round == 0) return true;
  const double now = visitor_.Now();
  const double end = now + (now - start_) * static_cast<double>(visits) / static_cast<double>(done);
  if (options_.most_seconds && end - begun_ > *options_.most_seconds) return false;
  return round < options_.min_rounds || end - start_ <= options_.budget_seconds;
}

Status SpeedRun::Measure() {
  const auto before = ReadProcessorTimes();
  start_ = visitor_.Now();
  std::mt19937 random(options_.seed);
  std::vector<SpeedSubject> subjects;
  for (const Candidate& candidate : candidates_) subjects.push_back(candidate.subject);
  if (candidates_.size() > 1) {
    TRY(anchor_, VisitOf(0, Phases::kBoth));
  }
  size_t visits = 0;
  for (int round = 0; round < options_.rounds && !Decided(); ++round) {
    std::vector<size_t> order;
    for (size_t i = 1; i < candidates_.size(); ++i) {
      if (IsLeft(i)) order.push_back(i);
    }
    const size_t of_round = std::max<size_t>(1, order.size());
    if (!HasTimeFor(of_round, visits, round)) break;
    visits += of_round;
    order = RoundOrder(subjects, order, options_.resident.has_value(), random);
    if (order.empty()) {
      TRY(const Visit visit, VisitOf(0, Phases::kBoth));
      candidates_[0].visits.push_back(visit);
    } else {
      TRY_STATUS(Round(round, order));
    }
    SayProgress(round);
  }
  conditions_.seconds = visitor_.Now() - start_;
  const auto after = ReadProcessorTimes();
  if (before && after) {
    conditions_.others_share = OthersShare(*before, *after);
    conditions_.stolen_seconds = after->stolen - before->stolen;
    if (before->stalled && after->stalled)
      conditions_.stalled_seconds = *after->stalled - *before->stalled;
  }
  return {};
}

Speed SpeedRun::Summarise(const Candidate& candidate) const {
  Speed speed;
  speed.prompt_tokens = options_.prompt_tokens;
  speed.decode_tokens = options_.decode_tokens;
  speed.depth = options_.depth;
  speed.conditions = conditions_;
  speed.conditions.warm_ups = candidate.warm_ups;
  speed.conditions.unsteady = candidate.visits.empty() && !candidate.discarded.empty();
  const std::vector<Visit>& visits =
      speed.conditions.unsteady ? candidate.discarded : candidate.visits;
  std::vector<double> ttft;
  for (const Visit& visit : visits) {
    if (visit.prefill) {
      speed.prefill_samples.push_back(options_.prompt_tokens / *visit.prefill);
      ttft.push_back(*visit.prefill * 1000);
      AddEnergy(speed.prefill_energy, visit.prefill_joules, *visit.prefill, options_.prompt_tokens);
    }
    if (visit.decode) {
      const int tokens = options_.decode_tokens * candidate.subject.settings.parallel;
      speed.decode_samples.push_back(tokens / *visit.decode);
      AddEnergy(speed.decode_energy, visit.decode_joules, *visit.decode, tokens);
    }
    speed.sample_seconds.push_back(visit.at - start_);
  }
  speed.prefill_tps = MedianSpread(speed.prefill_samples);
  speed.decode_tps = MedianSpread(speed.decode_samples);
  speed.ttft_ms = MedianSpread(ttft);
  speed.load_ms = MedianSpread(candidate.load_ms.empty() ? pool_.LoadsBetween(candidate.subject)
                                                         : candidate.load_ms);
  return speed;
}

Json SpeedRun::Report() const {
  Json trials = Json::array();
  for (size_t i = 0; i < candidates_.size(); ++i) {
    const Candidate& candidate = candidates_[i];
    SpeedTrial trial;
    trial.subject = candidate.subject;
    trial.error = candidate.error;
    trial.log_gains = candidate.log_gains;
    if (!candidate.error) trial.speed = Summarise(candidate);
    for (const Heat& heat : heats_) {
      for (size_t r = 1; r < heat.runners.size(); ++r) {
        if (heat.runners[r] == i) trial.left = heat.race.IsLeft(r);
      }
    }
    trials.push_back(ToJson(trial));
  }
  return {{"trials", trials}};
}

}  // namespace

Result<Json> SpeedJob(const Json& request, const Emit& emit) {
  SpeedRun run(SpeedOptionsFromJson(request.at("options")), emit);
  TRY_STATUS(run.Prepare(request.at("candidates")));
  TRY_STATUS(run.Measure());
  return run.Report();
}

}  // namespace trimma
