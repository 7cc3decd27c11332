#include "measure/speed_background.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include "base/file.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

double TicksPerSecond() {
  static const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return ticks > 0 ? ticks : 100;
}

// utime, stime, and those of children that were waited for are the fields 14 to 17 of
// /proc/self/stat; the name before them is in parentheses and may hold blanks.
std::optional<double> OwnSeconds(const std::string& stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i <= 13; ++i) fields >> skipped;
  double ticks = 0;
  for (int i = 14; i <= 17; ++i) {
    double value = 0;
    if (!(fields >> value)) return std::nullopt;
    ticks += value;
  }
  return ticks / TicksPerSecond();
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

// user nice system idle iowait irq softirq steal; guest times that follow are in user's already.
using Ticks = std::array<double, 8>;
constexpr size_t kIdle = 3;
constexpr size_t kWaiting = 4;
constexpr size_t kStolen = 7;

// "cpu0", "cpu1": the lines of /proc/stat for the processors that this process may run on. Empty
// where that isn't told.
std::set<std::string> AllowedNames(const std::string& proc) {
  std::set<std::string> names;
  const auto status = ReadPseudoFile(proc + "/self/status");
  if (!status.ok()) return names;
  for (const int cpu : ParseCpuList(ValueOf(*status, "Cpus_allowed_list").value_or("")))
    names.insert("cpu" + std::to_string(cpu));
  return names;
}

// The sum over those lines; where none of them is there, the line of all processors.
std::optional<Ticks> UsableTicks(const std::string& stat, const std::set<std::string>& allowed) {
  std::optional<Ticks> all;
  std::optional<Ticks> usable;
  std::istringstream lines(stat);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    if (name != "cpu" && !allowed.contains(name)) continue;
    Ticks ticks = {};
    for (double& value : ticks) {
      if (!(fields >> value)) return std::nullopt;
    }
    auto& sum = name == "cpu" ? all : usable;
    if (!sum) sum.emplace();
    for (size_t i = 0; i < ticks.size(); ++i) (*sum)[i] += ticks[i];
  }
  return usable ? usable : all;
}

}  // namespace

std::optional<ProcessorTimes> ReadProcessorTimes(const std::string& proc) {
  const auto stat = ReadPseudoFile(proc + "/stat");
  const auto self = ReadPseudoFile(proc + "/self/stat");
  if (!stat.ok() || !self.ok()) return std::nullopt;
  const auto own = OwnSeconds(*self);
  const auto ticks = UsableTicks(*stat, AllowedNames(proc));
  if (!ticks || !own) return std::nullopt;
  ProcessorTimes times;
  for (const double value : *ticks) times.all += value / TicksPerSecond();
  times.busy = times.all - ((*ticks)[kIdle] + (*ticks)[kWaiting]) / TicksPerSecond();
  times.stolen = (*ticks)[kStolen] / TicksPerSecond();
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
