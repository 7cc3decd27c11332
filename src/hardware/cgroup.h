// What the control groups around this process allow it: containers and systemd slices limit
// processors and memory without changing what /proc/cpuinfo and /proc/meminfo say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hardware/machine.h"

namespace trimma {

struct CgroupMemory {
  uint64_t limit_bytes = 0;      // the smallest limit of the group and those around it
  uint64_t available_bytes = 0;  // the smallest of limit - used + reclaimable file cache
  std::string limit_file;        // the file that holds `limit_bytes`
};

struct CgroupLimits {
  std::optional<double> cpus;  // processors' worth of time, 1.5 for a quota of 150 ms in 100 ms
  std::optional<CgroupMemory> memory;
};

// Versions 1 and 2, and both at once. A limit in any group from ours up to the root counts.
CgroupLimits ReadCgroupLimits(const ProbeRoots& roots);

}  // namespace trimma
