// The processor, from /proc/cpuinfo and /sys/devices/system/cpu.
#pragma once

#include <optional>

#include "hardware/machine.h"

namespace trimma {

// `quota`: the cgroup's limit in processors' worth of time, which bounds cores and threads.
Cpu ProbeCpu(const ProbeRoots& roots, std::optional<double> quota);

}  // namespace trimma
