// One tuning on its way: what its steps share (inside tune/ only).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tune/cost.h"
#include "tune/journal.h"
#include "tune/tune.h"
#include "tune/verdict.h"

namespace trimma {

class Tuning {
 public:
  Tuning(const std::string& path, const TuneOptions& options,
         const std::function<void(const std::string&, double)>& progress, TuneJournal journal)
      : path_(path), options_(options), progress_(progress), journal_(std::move(journal)) {}

  Result<TuneResult> Run(const ModelFacts& facts);

 private:
  double Now() const { return options_.clock ? options_.clock() : SecondsSince(made_); }
  double Elapsed() const { return resumed_seconds_ + Now() - start_; }
  double Left() const { return options_.budget_seconds - Elapsed(); }
  double MostSeconds() const;
  Result<std::vector<SpeedTrial>> Step(const std::string& name, const std::string& said,
                                       const std::vector<SpeedSubject>& candidates,
                                       const SpeedOptions& options);
  Result<std::vector<SpeedTrial>> MeasureBeside(const std::string& name, const std::string& said,
                                                const std::vector<Variation>& variations,
                                                double budget);
  Result<std::vector<TuneTrialResult>> Race(const std::string& name, const std::string& said,
                                            const std::vector<Variation>& variations,
                                            double budget);
  Result<std::vector<TuneTrialResult>> RaceAlone(const std::vector<Variation>& variations,
                                                 double until);
  Result<bool> RaceLater(std::vector<TuneTrialResult>& trials, double seconds);
  double ReserveFor(const std::vector<Variation>& variations, double most) const;
  void KeepDefaultSpeed(const Speed& speed);
  void LearnPace(double computed, double measuring);
  Result<bool> RaceAgain(const std::string& name, std::vector<TuneTrialResult>& trials,
                         double seconds);
  Result<double> Probe();
  Error TooShortFor(double needed) const;
  TuneResult Kept(const Error& why);
  void FindSpace(const ModelFacts& facts);
  void Finish();
  bool FitsAfter(double& spent, const Variation& variation, double budget) const;
  std::vector<Variation> TakeWhatFits(double budget);
  std::vector<Variation> TakeFirst(double budget);
  void LeaveOutWhatTakesTooLong(std::vector<Combination>& combinations, double budget);
  Result<std::vector<TuneTrialResult>> TryTogether(std::vector<Combination>& combinations,
                                                   double alone_budget);
  Result<bool> KvIsGoodEnough(const RuntimeSettings& settings);
  Status JudgeKv(std::vector<TuneTrialResult>& alone);
  std::vector<RuntimeSettings> WhoseRoundsFit(std::vector<RuntimeSettings> finalists);
  Result<Choice> Confirm(const std::vector<RuntimeSettings>& finalists);
  Result<std::vector<RuntimeSettings>> FindFinalists(std::vector<TuneTrialResult>& alone,
                                                     const std::vector<Combination>& combinations,
                                                     const std::vector<TuneTrialResult>& together);
  void Notice(const SpeedConditions& conditions);

  std::string path_;
  TuneOptions options_;
  const std::function<void(const std::string&, double)>& progress_;
  TuneJournal journal_;
  const Clock::time_point made_ = Clock::now();
  const double start_ = Now() - (options_.begun ? SecondsSince(*options_.begun) : 0);
  double resumed_seconds_ = 0;  // that the steps which were found had taken
  double step_seconds_ = 0;     // of the last one
  TuneResult result_;
  std::vector<Variation> later_;  // not tried yet
  int later_races_ = 0;
  TrialCosts costs_;
  Disturbance disturbance_;
};

}  // namespace trimma
