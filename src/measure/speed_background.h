// What else the processors did while speed was measured.
#pragma once

#include <optional>
#include <string>

namespace trimma {

// Counters since the machine started, of the processors that this process may run on (taskset,
// cpuset); differences of two readings tell about the time between.
struct ProcessorTimes {
  double all = 0;                 // seconds of these processors, busy and idle
  double busy = 0;                // of which not idle, this process included
  double stolen = 0;              // of which another guest of this host had them
  double own = 0;                 // of this process, its threads, and children that have ended
  std::optional<double> stalled;  // somebody waited for a processor (/proc/pressure/cpu)
};

// nullopt where /proc/stat can't be read.
std::optional<ProcessorTimes> ReadProcessorTimes(const std::string& proc = "/proc");

// The share of these processors that others had between two readings, 0 to 1: busy and not ours,
// or stolen. In a container it counts the whole host's processes on them.
double OthersShare(const ProcessorTimes& before, const ProcessorTimes& after);

}  // namespace trimma
