// A progress line on standard error.
#pragma once

#include <string>

#include "base/clock.h"

namespace trimma {

// On a terminal one line that is redrawn, with the share done and the time left; elsewhere a
// line per stage, and one each 10 s while it lasts. Silent if `quiet`. Not thread-safe.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  bool quiet() const { return quiet_; }

  // share in [0, 1]; `detail` (a rate) may change from call to call within a stage. The time left
  // is estimated from the time spent, unless the caller knows better and has it in `detail`.
  enum class TimeLeft { kEstimated, kInDetail };
  void Update(const std::string& stage, double share, const std::string& detail = "",
              TimeLeft time_left = TimeLeft::kEstimated);
  void Done();  // ends the line of the current stage

 private:
  bool quiet_;
  bool terminal_;
  std::string stage_;
  Clock::time_point stage_start_{};
  Clock::time_point last_line_{};
};

}  // namespace trimma
