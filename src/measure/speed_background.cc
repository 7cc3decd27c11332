#include "measure/speed_background.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "base/file.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

double TicksPerSecond() {
  static const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return ticks > 0 ? ticks : 100;
}

// utime and stime are the fields 14 and 15 of /proc/self/stat; the name before them is in
// parentheses and may hold blanks.
std::optional<double> OwnSeconds(const std::string& stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i <= 13; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return (user + system) / TicksPerSecond();
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" in microseconds.
std::optional<double> StalledSeconds(const std::string& pressure) {
  const size_t line = pressure.find("some ");
  const size_t total = pressure.find("total=", line == std::string::npos ? 0 : line);
  if (line == std::string::npos || total == std::string::npos) return std::nullopt;
  const auto microseconds = LeadingNumber(pressure.substr(total + 6));
  if (!microseconds) return std::nullopt;
  return static_cast<double>(*microseconds) / 1e6;
}

}  // namespace

std::optional<ProcessorTimes> ReadProcessorTimes(const std::string& proc) {
  const auto stat = ReadPseudoFile(proc + "/stat");
  const auto self = ReadPseudoFile(proc + "/self/stat");
  if (!stat.ok() || !self.ok()) return std::nullopt;
  const auto own = OwnSeconds(*self);
  std::istringstream line(*stat);
  std::string name;
  // user nice system idle iowait irq softirq steal; guest times that follow are in user's already.
  std::array<double, 8> ticks = {};
  if (!(line >> name) || name != "cpu" || !own) return std::nullopt;
  for (double& value : ticks) {
    if (!(line >> value)) return std::nullopt;
  }
  ProcessorTimes times;
  for (const double value : ticks) times.all += value / TicksPerSecond();
  times.busy = times.all - (ticks[3] + ticks[4]) / TicksPerSecond();
  times.stolen = ticks[7] / TicksPerSecond();
  times.own = *own;
  if (const auto pressure = ReadPseudoFile(proc + "/pressure/cpu"); pressure.ok())
    times.stalled = StalledSeconds(*pressure);
  return times;
}

double OthersShare(const ProcessorTimes& before, const ProcessorTimes& after) {
  const double all = after.all - before.all;
  if (all <= 0) return 0;
  const double others = (after.busy - before.busy) - (after.own - before.own);
  return std::clamp(others / all, 0.0, 1.0);
}

}  // namespace trimma
