#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "hardware/machine.h"
#include "hardware/temp_tree.h"

namespace trimma::probe_test {
namespace {

ProbeRoots RootsOf(const TempTree& tree) { return {tree / "proc", tree / "sys"}; }

void WriteTopology(const TempTree& tree, int cpu, int package, int core) {
  const std::string folder = fmt::format("sys/devices/system/cpu/cpu{}/topology/", cpu);
  tree.Write({{folder + "physical_package_id", fmt::format("{}\n", package)},
              {folder + "core_id", fmt::format("{}\n", core)}});
}

void WriteCache(const TempTree& tree, int index, const std::string& level_type_size,
                const std::string& shared) {
  const std::string folder = fmt::format("sys/devices/system/cpu/cpu0/cache/index{}/", index);
  const size_t first = level_type_size.find(' ');
  const size_t second = level_type_size.rfind(' ');
  tree.Write({{folder + "level", level_type_size.substr(0, first) + "\n"},
              {folder + "type", level_type_size.substr(first + 1, second - first - 1) + "\n"},
              {folder + "size", level_type_size.substr(second + 1) + "\n"},
              {folder + "shared_cpu_list", shared + "\n"}});
}

// Two packages of two cores with two threads each; Linux numbers the second threads last.
void WriteTwoSockets(const TempTree& tree) {
  tree.Write({{"proc/cpuinfo",
               "processor\t: 0\nmodel\t\t: 85\n"
               "model name\t: Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz\n"
               "flags\t\t: fpu sse4_2 avx f16c fma avx2 bmi2 avx512f avx512bw avx512_vnni\n\n"},
              {"proc/meminfo",
               "MemTotal:       16777216 kB\nMemFree:         1048576 kB\n"
               "MemAvailable:    8388608 kB\n"},
              {"proc/self/status", "Name:\ttrimma\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n"},
              {"sys/devices/system/cpu/online", "0-7\n"}});
  for (int cpu = 0; cpu < 8; ++cpu) WriteTopology(tree, cpu, cpu / 2 % 2, cpu % 2);
  WriteCache(tree, 0, "1 Data 32K", "0,4");
  WriteCache(tree, 1, "1 Instruction 32K", "0,4");
  WriteCache(tree, 2, "2 Unified 1024K", "0,4");
  WriteCache(tree, 3, "3 Unified 28160K", "0-1,4-5");
}

TEST(ProbeTest, ReadsATwoSocketMachineWithTwoThreadsPerCore) {
  const TempTree tree;
  WriteTwoSockets(tree);
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.cpu.name, "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz");
  EXPECT_EQ(machine.cpu.cores, 4);
  EXPECT_EQ(machine.cpu.threads, 8);
  const std::vector<std::string> isa = {"sse4.2", "avx",     "avx2",     "fma",        "f16c",
                                        "bmi2",   "avx512f", "avx512bw", "avx512_vnni"};
  EXPECT_EQ(machine.cpu.isa, isa);
  ASSERT_EQ(machine.cpu.caches.size(), 4U);
  EXPECT_EQ(machine.cpu.caches[1].kind, "instruction");
  EXPECT_EQ(machine.cpu.caches[2].shared_by, 2);
  EXPECT_EQ(machine.cpu.caches[3].level, 3);
  EXPECT_EQ(machine.cpu.caches[3].bytes, 28160U << 10);
  EXPECT_EQ(machine.cpu.caches[3].shared_by, 4);
  EXPECT_EQ(machine.memory.total_bytes, 16384 * kMiB);
  EXPECT_EQ(machine.memory.available_bytes, 8192 * kMiB);
  EXPECT_EQ(machine.memory.limited_by, "");
}

TEST(ProbeTest, CountsOnlyTheProcessorsThatThisProcessMayUse) {
  const TempTree tree;
  WriteTwoSockets(tree);
  tree.Write("proc/self/status",
             "Cpus_allowed_list:\t0,4-5\n");  // both threads of one core, one more
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.cpu.threads, 3);
  EXPECT_EQ(machine.cpu.cores, 2);
}

TEST(ProbeTest, NamesAnArmCoreByItsNumbers) {
  const TempTree tree;
  tree.Write({{"proc/cpuinfo",
               "processor\t: 0\nBogoMIPS\t: 50.00\n"
               "Features\t: fp asimd evtstrm aes crc32 asimdhp asimddp\n"
               "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\n\n"
               "processor\t: 1\nBogoMIPS\t: 50.00\n"},
              {"proc/meminfo", "MemTotal: 4096 kB\nMemAvailable: 2048 kB\n"}});
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.cpu.name, "Neoverse N1");
  EXPECT_EQ(machine.cpu.threads, 2);  // without /sys, from cpuinfo
  EXPECT_EQ(machine.cpu.cores, 2);
  EXPECT_EQ(machine.cpu.isa, (std::vector<std::string>{"neon", "dotprod", "fp16"}));

  tree.Write("proc/cpuinfo", "processor: 0\nCPU implementer\t: 0x99\nCPU part\t: 0x001\n");
  EXPECT_EQ(Probe(RootsOf(tree)).cpu.name, "ARM implementer 0x99, part 0x001");

  tree.Write("proc/cpuinfo",
             "processor: 0\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B\n");
  EXPECT_EQ(Probe(RootsOf(tree)).cpu.name, "Raspberry Pi 4 Model B");

  tree.Write({{"proc/cpuinfo", "processor: 0\n"},
              {"sys/firmware/devicetree/base/model", std::string("Some Board\0", 11)}});
  EXPECT_EQ(Probe(RootsOf(tree)).cpu.name, "Some Board");
}

TEST(ProbeTest, ObeysAVersion2LimitOfAParentGroup) {
  const TempTree tree;
  WriteTwoSockets(tree);
  const std::string parent = "sys/fs/cgroup/user.slice/";
  tree.Write({{"proc/self/cgroup", "0::/user.slice/app.scope\n"},
              {parent + "memory.max", fmt::format("{}\n", 4096 * kMiB)},
              {parent + "memory.high", "max\n"},
              {parent + "memory.current", fmt::format("{}\n", 3072 * kMiB)},
              {parent + "memory.stat",
               fmt::format("anon 5\ninactive_file {}\nactive_file 7\n", 1024 * kMiB)},
              {parent + "app.scope/memory.max", "max\n"},
              {parent + "app.scope/memory.current", "5\n"},
              {parent + "cpu.max", "max 100000\n"}});
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.memory.total_bytes, 4096 * kMiB);
  EXPECT_EQ(machine.memory.available_bytes, 2048 * kMiB);
  EXPECT_EQ(machine.memory.limited_by, tree / (parent + "memory.max"));
  EXPECT_EQ(machine.cpu.threads, 8);

  // memory.high slows a process down long before memory.max kills it: it is a limit as well.
  tree.Write(parent + "app.scope/memory.high", "1048576\n");
  const Machine lower = Probe(RootsOf(tree));
  EXPECT_EQ(lower.memory.total_bytes, kMiB);
  EXPECT_EQ(lower.memory.limited_by, tree / (parent + "app.scope/memory.high"));
}

TEST(ProbeTest, TakesALimitLargerThanTheMachineForNone) {
  const TempTree tree;
  WriteTwoSockets(tree);
  tree.Write({{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "99999999999999\n"}});
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.memory.total_bytes, 16384 * kMiB);
  EXPECT_EQ(machine.memory.limited_by, "");
}

TEST(ProbeTest, ObeysVersion1LimitsSeenFromInsideAContainer) {
  const TempTree tree;
  WriteTwoSockets(tree);
  // The group's own folder is not visible; its files are at the mount point.
  const std::string memory = "sys/fs/cgroup/memory/";
  const std::string cpu = "sys/fs/cgroup/cpu,cpuacct/";
  tree.Write({{"proc/self/cgroup",
               "12:memory:/docker/0123\n4:cpu,cpuacct:/docker/0123\n1:name=systemd:/x\n0::/\n"},
              {memory + "memory.limit_in_bytes", fmt::format("{}\n", 2048 * kMiB)},
              {memory + "memory.usage_in_bytes", fmt::format("{}\n", 512 * kMiB)},
              {memory + "memory.stat", fmt::format("total_inactive_file {}\n", 256 * kMiB)},
              {cpu + "cpu.cfs_quota_us", "300000\n"},
              {cpu + "cpu.cfs_period_us", "100000\n"}});
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.memory.total_bytes, 2048 * kMiB);
  EXPECT_EQ(machine.memory.available_bytes, 1792 * kMiB);
  EXPECT_EQ(machine.cpu.threads, 3);
  EXPECT_EQ(machine.cpu.cores, 3);

  tree.Write({{memory + "memory.limit_in_bytes", "9223372036854771712\n"},
              {cpu + "cpu.cfs_quota_us", "-1\n"}});
  const Machine unlimited = Probe(RootsOf(tree));
  EXPECT_EQ(unlimited.memory.total_bytes, 16384 * kMiB);
  EXPECT_EQ(unlimited.cpu.threads, 8);
}

TEST(ProbeTest, RoundsAQuotaOfOneAndAHalfProcessorsUp) {
  const TempTree tree;
  WriteTwoSockets(tree);
  tree.Write({{"proc/self/cgroup", "0::/a\n"}, {"sys/fs/cgroup/a/cpu.max", "150000 100000\n"}});
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.cpu.threads, 2);
  EXPECT_EQ(machine.cpu.cores, 2);
}

TEST(ProbeTest, KeepsDefaultsForWhatIsMissing) {
  const TempTree tree;
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.cpu.name, "");
  EXPECT_EQ(machine.cpu.cores, 1);
  EXPECT_EQ(machine.cpu.threads, 1);
  EXPECT_EQ(machine.memory.total_bytes, 0U);
}

TEST(ProbeTest, SurvivesGarbage) {
  const TempTree tree;
  using std::string_literals::operator""s;
  const std::string garbage = "\xff\0:\x1b[31m -,--7 99999999999999999999999 ::\n\n:"s;
  for (const char* path :
       {"proc/cpuinfo", "proc/meminfo", "proc/self/cgroup", "proc/self/status",
        "sys/devices/system/cpu/online", "sys/devices/system/cpu/cpu0/cache/index0/level",
        "sys/fs/cgroup/memory.max", "sys/fs/cgroup/cpu.max"}) {
    tree.Write(path, garbage);
  }
  EXPECT_EQ(Probe(RootsOf(tree)).cpu.threads, 1);

  tree.Write({{"proc/cpuinfo", "processor: 0\nmodel name: \x1b[31mred\n"},
              {"proc/self/cgroup", "0::/../../../../etc\n0::\n:::\n0\n"},
              {"proc/meminfo", "MemTotal: 18446744073709551615 kB\nMemAvailable: x\n"},
              {"sys/devices/system/cpu/online", "0-999999999,3-1,-5\n"}});
  const Machine machine = Probe(RootsOf(tree));
  EXPECT_EQ(machine.cpu.name, "?[31mred");
  EXPECT_LE(machine.cpu.threads, 8192);
}

TEST(ProbeTest, FindsThisMachine) {
  const Machine machine = Probe();
  EXPECT_GE(machine.cpu.threads, 1);
  EXPECT_GE(machine.cpu.threads, machine.cpu.cores);
  EXPECT_GT(machine.memory.total_bytes, 64 * kMiB);
  EXPECT_GT(machine.memory.available_bytes, 0U);
  EXPECT_LE(machine.memory.available_bytes, machine.memory.total_bytes);
}

TEST(ProbeTest, WritesTheFieldsOfScan) {
  Machine machine;
  machine.cpu = {"A", 2, 4, {"avx2"}, {{1, "data", 32768, 2}}};
  machine.gpus = {{"NVIDIA GeForce RTX 2060", "CUDA", 6, 5}};
  Json json = ToJson(machine);
  EXPECT_EQ(json["cpu"]["isa"], Json({"avx2"}));
  EXPECT_EQ(json["cpu"]["caches"][0]["shared_by"], 2);
  EXPECT_TRUE(json["memory"]["bandwidth_bytes_per_s"].is_null());
  EXPECT_EQ(json["gpus"][0]["free_bytes"], 5);
  machine.memory.bandwidth_bytes_per_s = 2.5e10;
  EXPECT_EQ(ToJson(machine)["memory"]["bandwidth_bytes_per_s"], 2.5e10);
  EXPECT_TRUE(ToJson(Machine{})["gpus"].is_array());
}

}  // namespace
}  // namespace trimma::probe_test
