// What this computer is: plain values, found by Probe().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

struct CpuCache {
  int level = 0;
  std::string kind;    // "data", "instruction", "unified"
  uint64_t bytes = 0;  // of one instance
  int shared_by = 1;   // logical processors that share one instance
};

struct Cpu {
  std::string name;
  int cores = 1;    // physical, that this process may use
  int threads = 1;  // logical, that this process may use (affinity and cgroup quota count)
  std::vector<std::string>
      isa;  // "avx2", "avx512f", "neon", ...: the sets that the engine has kernels for
  std::vector<CpuCache> caches;
};

struct Memory {
  uint64_t total_bytes = 0;      // the smaller of the machine's and the cgroup's limit
  uint64_t available_bytes = 0;  // likewise
  std::optional<double> bandwidth_bytes_per_s;  // measured reading, all threads; only after a bench
  std::string limited_by;  // "" or the cgroup file whose limit is the smaller one
};

struct Gpu {
  std::string name;     // "NVIDIA GeForce RTX 2060"
  std::string backend;  // the engine's: "CUDA", "Vulkan", "Metal"
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

struct Machine {
  Cpu cpu;
  Memory memory;
  std::vector<Gpu>
      gpus;  // from the engine's backends; filled by the caller (the engine lies below)
};

// Where Probe reads; tests give it a saved tree.
struct ProbeRoots {
  std::string proc = "/proc";
  std::string sys = "/sys";
};

// CPU and memory of this machine. What can't be read stays at its default: a probe never fails.
Machine Probe(const ProbeRoots& roots = {});

Json ToJson(const Machine& machine);  // the cpu, memory and gpus fields of trimma.scan/1

}  // namespace trimma
