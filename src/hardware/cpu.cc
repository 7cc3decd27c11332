#include "hardware/cpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <tuple>

#include "base/file.h"
#include "base/text.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

// The kernel's flag and our name, for the sets that the engine has kernels for.
struct IsaFlag {
  const char* flag;
  const char* name;
};
constexpr IsaFlag kX86[] = {
    {"sse4_2", "sse4.2"},
    {"avx", "avx"},
    {"avx2", "avx2"},
    {"fma", "fma"},
    {"f16c", "f16c"},
    {"bmi2", "bmi2"},
    {"avx_vnni", "avx_vnni"},
    {"avx512f", "avx512f"},
    {"avx512bw", "avx512bw"},
    {"avx512vbmi", "avx512vbmi"},
    {"avx512_vnni", "avx512_vnni"},
    {"avx512_bf16", "avx512_bf16"},
    {"amx_tile", "amx_tile"},
    {"amx_int8", "amx_int8"},
};
constexpr IsaFlag kArm[] = {
    {"asimd", "neon"},   {"neon", "neon"}, {"asimddp", "dotprod"},
    {"asimdhp", "fp16"}, {"i8mm", "i8mm"}, {"sve", "sve"},
};

// Linux gives an ARM core by number only. MIDR_EL1 implementer and part of those that people
// run models on.
struct ArmCore {
  uint64_t implementer;
  uint64_t part;
  const char* name;
};
constexpr ArmCore kArmCores[] = {
    {0x41, 0xd03, "Cortex-A53"},  {0x41, 0xd05, "Cortex-A55"},  {0x41, 0xd07, "Cortex-A57"},
    {0x41, 0xd08, "Cortex-A72"},  {0x41, 0xd0b, "Cortex-A76"},  {0x41, 0xd0c, "Neoverse N1"},
    {0x41, 0xd40, "Neoverse V1"}, {0x41, 0xd41, "Cortex-A78"},  {0x41, 0xd44, "Cortex-X1"},
    {0x41, 0xd49, "Neoverse N2"}, {0x41, 0xd4f, "Neoverse V2"}, {0xc0, 0xac3, "Ampere-1"},
};

uint64_t HexNumber(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

std::string ArmName(const std::string& cpuinfo) {
  const std::string implementer = ValueOf(cpuinfo, "CPU implementer").value_or("");
  const std::string part = ValueOf(cpuinfo, "CPU part").value_or("");
  if (implementer.empty() || part.empty()) return "";
  for (const ArmCore& core : kArmCores) {
    if (core.implementer == HexNumber(implementer) && core.part == HexNumber(part)) {
      return core.name;
    }
  }
  return fmt::format("ARM implementer {}, part {}", implementer, part);
}

std::string CpuName(const ProbeRoots& roots, const std::string& cpuinfo) {
  std::string name = ValueOf(cpuinfo, "model name").value_or("");
  if (name.empty())
    name = ValueOf(cpuinfo, "Model").value_or("");  // the board: "Raspberry Pi 5 ..."
  if (name.empty()) name = ArmName(cpuinfo);
  // The device tree's strings end in a zero byte.
  if (name.empty()) name = LineIn(roots.sys + "/firmware/devicetree/base/model").c_str();
  if (name.empty()) name = LineIn(roots.sys + "/devices/virtual/dmi/id/product_name");
  return SafeText(name);
}

std::vector<std::string> InstructionSets(const std::string& cpuinfo) {
  std::vector<std::string> isa;
  const auto add = [&](const char* key, const auto& table) {
    const std::vector<std::string> flags = Split(ValueOf(cpuinfo, key).value_or(""), ' ');
    for (const IsaFlag& entry : table) {
      const bool has = std::find(flags.begin(), flags.end(), entry.flag) != flags.end();
      if (has && std::find(isa.begin(), isa.end(), entry.name) == isa.end()) {
        isa.emplace_back(entry.name);
      }
    }
  };
  add("flags", kX86);
  add("Features", kArm);
  return isa;
}

// Those that are online and that this process may run on (taskset, cpuset). The kernel writes
// the affinity mask itself into status, so that a saved tree can have one too.
std::vector<int> UsableCpus(const ProbeRoots& roots, const std::string& cpuinfo) {
  std::vector<int> online = ParseCpuList(LineIn(roots.sys + "/devices/system/cpu/online"));
  if (online.empty()) {
    for (const std::string& line : Split(cpuinfo, '\n')) {
      if (const auto number = ValueOf(line, "processor")) {
        for (const int cpu : ParseCpuList(*number)) online.push_back(cpu);
      }
    }
  }
  const Result<std::string> status = ReadPseudoFile(roots.proc + "/self/status");
  if (!status.ok()) return online;
  const std::vector<int> allowed = ParseCpuList(ValueOf(*status, "Cpus_allowed_list").value_or(""));
  std::vector<int> usable;
  std::set_intersection(online.begin(), online.end(), allowed.begin(), allowed.end(),
                        std::back_inserter(usable));
  return usable.empty() ? online : usable;
}

int PhysicalCores(const ProbeRoots& roots, const std::vector<int>& cpus) {
  // Core numbers repeat in every package, and in every die of some.
  std::set<std::tuple<std::string, std::string, std::string>> cores;
  for (const int cpu : cpus) {
    const std::string topology =
        fmt::format("{}/devices/system/cpu/cpu{}/topology/", roots.sys, cpu);
    const std::string core = LineIn(topology + "core_id");
    if (core.empty()) return static_cast<int>(cpus.size());
    cores.emplace(LineIn(topology + "physical_package_id"), LineIn(topology + "die_id"), core);
  }
  return static_cast<int>(cores.size());
}

// "32K", "2048K", "36M".
uint64_t CacheBytes(const std::string& size) {
  const uint64_t number = std::min(LeadingNumber(size).value_or(0), uint64_t{1} << 40);
  if (size.ends_with('K')) return number << 10;
  if (size.ends_with('M')) return number << 20;
  return number;
}

std::vector<CpuCache> Caches(const ProbeRoots& roots, int cpu) {
  std::vector<CpuCache> caches;
  constexpr int kMostCaches = 16;
  for (int index = 0; index < kMostCaches; ++index) {
    const std::string directory =
        fmt::format("{}/devices/system/cpu/cpu{}/cache/index{}/", roots.sys, cpu, index);
    const std::optional<uint64_t> level = NumberIn(directory + "level");
    if (!level) break;
    CpuCache cache;
    cache.level = static_cast<int>(std::min<uint64_t>(*level, 9));
    cache.kind = SafeText(ToLower(LineIn(directory + "type")));
    cache.bytes = CacheBytes(LineIn(directory + "size"));
    const size_t sharers = ParseCpuList(LineIn(directory + "shared_cpu_list")).size();
    cache.shared_by = static_cast<int>(std::max<size_t>(1, sharers));
    if (cache.bytes > 0) caches.push_back(cache);
  }
  return caches;
}

}  // namespace

Cpu ProbeCpu(const ProbeRoots& roots, std::optional<double> quota) {
  Cpu cpu;
  const Result<std::string> read = ReadPseudoFile(roots.proc + "/cpuinfo");
  const std::string cpuinfo = read.ok() ? *read : "";
  cpu.name = CpuName(roots, cpuinfo);
  cpu.isa = InstructionSets(cpuinfo);
  const std::vector<int> usable = UsableCpus(roots, cpuinfo);
  if (!usable.empty()) {
    cpu.threads = static_cast<int>(usable.size());
    cpu.cores = PhysicalCores(roots, usable);
    cpu.caches = Caches(roots, usable.front());
  }
  if (quota) {
    // Rounded up: 1.5 processors keep two threads busier than one.
    const int most = static_cast<int>(std::clamp(std::ceil(*quota), 1.0, 1e6));
    cpu.threads = std::min(cpu.threads, most);
    cpu.cores = std::min(cpu.cores, most);
  }
  return cpu;
}

}  // namespace trimma
