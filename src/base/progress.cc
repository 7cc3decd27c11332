#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/units.h"

namespace trimma {
namespace {

constexpr double kQuietSeconds = 10;

}  // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}
Progress::~Progress() { Done(); }

void Progress::Update(const std::string& stage, double share, const std::string& detail,
                      TimeLeft time_left) {
  if (quiet_) return;
  const bool is_new = stage != stage_;
  if (is_new) {
    Done();
    stage_ = stage;
    stage_start_ = last_line_ = Clock::now();
    if (!terminal_) fmt::print(stderr, "{} ...\n", stage);
  }
  share = std::clamp(share, 0.0, 1.0);
  const double spent = SecondsSince(stage_start_);
  const std::string more = detail.empty() ? "" : ", " + detail;
  const bool estimated = time_left == TimeLeft::kEstimated && share > 0.02 && spent > 1;
  const std::string left =
      more +
      (estimated ? fmt::format(", {} left", FormatSeconds(spent / share * (1 - share))) : "");
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{}: {:3.0f} %{}", stage, share * 100, left);
    std::fflush(stderr);
  } else if (!is_new && SecondsSince(last_line_) > kQuietSeconds) {
    fmt::print(stderr, "{}: {:.0f} %{}\n", stage, share * 100, left);
    last_line_ = Clock::now();
  }
}

void Progress::Done() {
  if (quiet_ || stage_.empty()) return;
  if (terminal_)
    fmt::print(stderr, "\r\033[K{}: {}\n", stage_, FormatSeconds(SecondsSince(stage_start_)));
  stage_.clear();
}

}  // namespace trimma
