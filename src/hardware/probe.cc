#include "hardware/cgroup.h"
#include "hardware/cpu.h"
#include "hardware/machine.h"
#include "hardware/memory.h"

namespace trimma {

Machine Probe(const ProbeRoots& roots) {
  const CgroupLimits limits = ReadCgroupLimits(roots);
  Machine machine;
  machine.cpu = ProbeCpu(roots, limits.cpus);
  machine.memory = ProbeMemory(roots, limits.memory);
  return machine;
}

Json ToJson(const Machine& machine) {
  Json caches = Json::array();
  for (const CpuCache& cache : machine.cpu.caches) {
    caches.push_back({{"level", cache.level},
                      {"kind", cache.kind},
                      {"bytes", cache.bytes},
                      {"shared_by", cache.shared_by}});
  }
  Json gpus = Json::array();
  for (const Gpu& gpu : machine.gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"backend", gpu.backend},
                    {"total_bytes", gpu.total_bytes},
                    {"free_bytes", gpu.free_bytes}});
  }
  const Cpu& cpu = machine.cpu;
  const Memory& memory = machine.memory;
  Json bandwidth;  // null until measured
  if (memory.bandwidth_bytes_per_s) bandwidth = *memory.bandwidth_bytes_per_s;
  return {{"cpu",
           {{"name", cpu.name},
            {"cores", cpu.cores},
            {"threads", cpu.threads},
            {"isa", cpu.isa},
            {"caches", caches}}},
          {"memory",
           {{"total_bytes", memory.total_bytes},
            {"available_bytes", memory.available_bytes},
            {"bandwidth_bytes_per_s", bandwidth},
            {"limited_by", memory.limited_by}}},
          {"gpus", gpus}};
}

}  // namespace trimma
