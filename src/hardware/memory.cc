#include "hardware/memory.h"

#include <algorithm>

#include "base/file.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

uint64_t MeminfoBytes(const std::string& meminfo, const char* key) {
  const std::optional<uint64_t> kib = LeadingNumber(ValueOf(meminfo, key).value_or(""));
  return std::min(kib.value_or(0), UINT64_MAX >> 10) << 10;
}

}  // namespace

Memory ProbeMemory(const ProbeRoots& roots, const std::optional<CgroupMemory>& cgroup) {
  Memory memory;
  const Result<std::string> meminfo = ReadPseudoFile(roots.proc + "/meminfo");
  if (meminfo.ok()) {
    memory.total_bytes = MeminfoBytes(*meminfo, "MemTotal");
    memory.available_bytes = MeminfoBytes(*meminfo, "MemAvailable");
  }
  if (!cgroup) return memory;
  if (memory.total_bytes == 0 || cgroup->limit_bytes < memory.total_bytes) {
    memory.total_bytes = cgroup->limit_bytes;
    memory.limited_by = cgroup->limit_file;
  }
  const bool known = memory.available_bytes > 0;
  memory.available_bytes =
      known ? std::min(memory.available_bytes, cgroup->available_bytes) : cgroup->available_bytes;
  return memory;
}

}  // namespace trimma
