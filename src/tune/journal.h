// Finished steps of a tuning, so that an interrupted one goes on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "measure/speed.h"

namespace trimma {

// One file for each question (model, machine, engine, options); steps are kept whole. What can't
// be read or written is as if it weren't there: it costs time, not correctness.
class TuneJournal {
 public:
  // `question` says all that the trials depend on. An empty directory: nothing is kept.
  TuneJournal(const std::string& directory, const Json& question);

  // The trials of a step that was finished before with these candidates.
  std::optional<std::vector<SpeedTrial>> Find(const std::string& step,
                                              const std::vector<SpeedSubject>& candidates) const;
  // `seconds`: what the step took.
  void Keep(const std::string& step, const std::vector<SpeedTrial>& trials, double seconds);
  double SecondsOf(const std::string& step) const;  // 0: not known
  void Remove() const;                              // the question is answered

  // Steps that were found.
  bool IsResumed() const { return !content_.at("steps").empty(); }

 private:
  std::string path_;
  Json content_;
};

}  // namespace trimma
