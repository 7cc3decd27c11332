#include "hardware/cgroup.h"

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

// The files of one controller in one group; the two versions differ in names only.
struct MemoryFiles {
  std::vector<const char*> limits;
  const char* used;
  const char* reclaimable;  // key in memory.stat: cache that is given up before a process dies
};
const MemoryFiles kMemoryV2 = {{"memory.max", "memory.high"}, "memory.current", "inactive_file"};
const MemoryFiles kMemoryV1 = {
    {"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file"};

// The group's directory and those above it, up to the mount point. A container often shows a
// group's name without its directories: those simply have no files, the mount point has.
std::vector<std::string> GroupAndParents(const std::string& mount, std::string_view group) {
  std::vector<std::string> directories = {mount};
  for (const std::string& part : Split(group, '/')) {
    // "..": a group outside of what this namespace shows. Only the mount point is ours to read.
    if (part == "..") return {mount};
    if (!part.empty()) directories.push_back(directories.back() + "/" + part);
  }
  return directories;
}

// Version 1 says "no limit" with the largest multiple of the page size.
bool IsLimit(uint64_t bytes) { return bytes < (uint64_t{1} << 62); }

void AddMemory(const std::string& directory, const MemoryFiles& files, CgroupLimits& limits) {
  for (const char* name : files.limits) {
    const std::string path = directory + "/" + name;
    const std::optional<uint64_t> limit = NumberIn(path);  // "max" is no number
    if (!limit || !IsLimit(*limit)) continue;
    const uint64_t used = NumberIn(directory + "/" + files.used).value_or(0);
    const Result<std::string> stat = ReadPseudoFile(directory + "/memory.stat");
    const uint64_t cache =
        stat.ok() ? LeadingNumber(ValueOf(*stat, files.reclaimable).value_or("")).value_or(0) : 0;
    const uint64_t held = used - std::min(used, cache);
    const uint64_t available = *limit - std::min(*limit, held);
    if (!limits.memory) limits.memory = CgroupMemory{UINT64_MAX, UINT64_MAX, ""};
    CgroupMemory& memory = *limits.memory;
    memory.available_bytes = std::min(memory.available_bytes, available);
    if (*limit < memory.limit_bytes) {
      memory.limit_bytes = *limit;
      memory.limit_file = path;
    }
  }
}

void AddCpus(std::optional<uint64_t> quota, std::optional<uint64_t> period, CgroupLimits& limits) {
  if (!quota || !period || *quota == 0 || *period == 0) return;
  const double cpus = static_cast<double>(*quota) / static_cast<double>(*period);
  limits.cpus = std::min(limits.cpus.value_or(cpus), cpus);
}

void AddVersion2(const std::string& mount, const std::string& group, CgroupLimits& limits) {
  for (const std::string& directory : GroupAndParents(mount, group)) {
    AddMemory(directory, kMemoryV2, limits);
    const std::vector<std::string> fields = Split(LineIn(directory + "/cpu.max"), ' ');
    if (fields.size() == 2) AddCpus(LeadingNumber(fields[0]), LeadingNumber(fields[1]), limits);
  }
}

void AddVersion1(const std::string& mount, const std::string& controller, const std::string& group,
                 CgroupLimits& limits) {
  for (const std::string& directory : GroupAndParents(mount, group)) {
    if (controller == "memory") AddMemory(directory, kMemoryV1, limits);
    if (controller == "cpu") {
      AddCpus(NumberIn(directory + "/cpu.cfs_quota_us"),  // -1, no quota, is no number here
              NumberIn(directory + "/cpu.cfs_period_us"), limits);
    }
  }
}

}  // namespace

CgroupLimits ReadCgroupLimits(const ProbeRoots& roots) {
  CgroupLimits limits;
  const Result<std::string> groups = ReadPseudoFile(roots.proc + "/self/cgroup");
  if (!groups.ok()) return limits;
  const std::string mount = roots.sys + "/fs/cgroup";
  for (const std::string& line : Split(*groups, '\n')) {
    // "4:memory,other:/path", and "0::/path" for version 2; the path may hold colons.
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      AddVersion2(mount, group, limits);
      AddVersion2(mount + "/unified", group, limits);  // where systemd puts it beside version 1
    }
    for (const std::string& controller : Split(controllers, ',')) {
      if (controller != "memory" && controller != "cpu") continue;
      AddVersion1(mount + "/" + controllers, controller, group, limits);
      if (controllers != controller)
        AddVersion1(mount + "/" + controller, controller, group, limits);
    }
  }
  return limits;
}

}  // namespace trimma
