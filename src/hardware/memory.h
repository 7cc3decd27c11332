// Main memory, from /proc/meminfo and the control groups.
#pragma once

#include <optional>

#include "hardware/cgroup.h"
#include "hardware/machine.h"

namespace trimma {

Memory ProbeMemory(const ProbeRoots& roots, const std::optional<CgroupMemory>& cgroup);

}  // namespace trimma
