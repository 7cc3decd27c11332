// Processor, memory, disk and cards.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/units.h"
#include "doctor/rules.h"
#include "doctor/variables.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

bool HasIsa(const DoctorFacts& facts, std::string_view name) {
  const auto& isa = facts.machine.cpu.isa;
  return std::find(isa.begin(), isa.end(), name) != isa.end();
}

Verdict WithoutAvx2(const DoctorFacts& facts) {
  // ggml's variants for x86-64 that lack AVX2; all others have it.
  constexpr std::array<std::string_view, 5> kOld = {"x64", "sse42", "sandybridge", "ivybridge",
                                                    "piledriver"};
  if (!HasIsa(facts, "avx2")) return {};
  if (!facts.servers) return {{}, facts.servers.why()};
  Verdict verdict;
  for (const ServerProcess& server : *facts.servers) {
    if (server.cpu_libraries.empty()) {
      verdict.unknown = fmt::format(
          "{}: what its CPU code was built for can't be seen from outside", server.Name());
      continue;
    }
    const auto is_old = [&](const std::string& variant) {
      return std::find(kOld.begin(), kOld.end(), variant) != kOld.end();
    };
    if (!std::all_of(server.cpu_libraries.begin(), server.cpu_libraries.end(), is_old)) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         server.Name(),
         "its CPU code does not use AVX2, which this processor has",
         fmt::format("beside it lies only libggml-cpu-{}.so", server.cpu_libraries.front()),
         "",
         "install the official build, or build with GGML_NATIVE=ON",
         {}});
  }
  return verdict;
}

Verdict PowerSaving(const DoctorFacts& facts) {
  if (!facts.power) return {{}, facts.power.why()};
  const PowerFacts& power = *facts.power;
  Verdict verdict;
  const auto add = [&](Severity severity, const std::string& what, const std::string& evidence,
                       const std::string& fix) {
    verdict.findings.push_back({"", severity, "this machine", what, evidence, "", fix, {}});
  };
  // These drivers scale under "powersave" too, their default: intel_pstate always, amd-pstate where
  // there is a preference, which then is what counts.
  const bool intel = power.driver == "intel_pstate";
  const bool autonomous =
      intel || (power.driver.starts_with("amd-pstate") && !power.preference.empty());
  if (power.governor == "powersave" && !autonomous)
    add(Severity::kWarning, "the processor is kept at its lowest frequency",
        fmt::format("scaling_governor {} ({})", power.governor, power.driver),
        "sudo cpupower frequency-set -g performance");
  if (autonomous && power.preference == "power")
    add(Severity::kWarning, "the processor prefers saving power to speed",
        "energy_performance_preference power", "powerprofilesctl set balanced, or performance");
  if (power.possible_khz > 0 && power.allowed_khz * 100 < power.possible_khz * 95)
    add(Severity::kWarning,
        fmt::format("the processor may go up to {} MHz only, of {}", power.allowed_khz / 1000,
                    power.possible_khz / 1000),
        fmt::format("scaling_max_freq {}", power.allowed_khz),
        fmt::format("sudo cpupower frequency-set -u {}", power.possible_khz));
  if (power.profile == "low-power" || power.profile == "quiet")
    add(Severity::kWarning, "the firmware's power profile slows this machine down",
        "platform_profile " + power.profile, "powerprofilesctl set balanced");
  if (power.on_battery)
    add(Severity::kInfo, "it runs on its battery, which slows most machines down",
        "power_supply: no mains online", "plug it in before measuring");
  return verdict;
}

// Percent of a minute in which some process waited for memory.
constexpr double kStalled = 10;

Verdict SwapInUse(const DoctorFacts& facts) {
  Verdict verdict;
  const std::string fix =
      "close other programs, take a smaller context or a smaller type "
      "(`trimma plan MODEL`)";
  // What was swapped out at some time may be what nobody uses: pressure or want of memory tells.
  const bool short_now = (facts.swap && facts.swap->stalled_percent >= kStalled) ||
                         facts.machine.memory.available_bytes < kGiB;
  if (facts.servers) {
    for (const ServerProcess& server : *facts.servers) {
      if (!server.swapped_bytes || *server.swapped_bytes < 64 * kMiB) continue;
      verdict.findings.push_back({"",
                                  short_now ? Severity::kWarning : Severity::kInfo,
                                  server.Name(),
                                  short_now ? "part of its memory is on the disk, and memory is "
                                              "short: what of it is used is read back"
                                            : "part of its memory is on the disk; nothing says "
                                              "that it is used",
                                  fmt::format("VmSwap {}", FormatBytes(*server.swapped_bytes)),
                                  "",
                                  fix,
                                  {}});
    }
  }
  if (!facts.swap) {
    verdict.unknown = facts.swap.why();
    return verdict;
  }
  if (facts.swap->stalled_percent >= kStalled)
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         "this machine",
         "memory is short: programs wait for it",
         fmt::format("/proc/pressure/memory: some avg60 {:.0f} %", facts.swap->stalled_percent),
         "",
         fix,
         {}});
  else if (verdict.findings.empty() && facts.swap->used_bytes >= kGiB &&
           facts.machine.memory.available_bytes < kGiB)
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         "this machine",
         "memory is full, and the rest lies in swap",
         fmt::format("{} of swap used, {} of memory available", FormatBytes(facts.swap->used_bytes),
                     FormatBytes(facts.machine.memory.available_bytes)),
         "",
         fix,
         {}});
  return verdict;
}

Verdict LowDisk(const DoctorFacts& facts) {
  if (!facts.disks) return {{}, facts.disks.why()};
  Verdict verdict;
  for (const DiskFacts& disk : *facts.disks) {
    const std::string evidence =
        fmt::format("{} of {} free", FormatBytes(disk.free_bytes), FormatBytes(disk.total_bytes));
    if (disk.free_bytes < 2 * kGiB) {
      verdict.findings.push_back({"",
                                  Severity::kWarning,
                                  disk.path,
                                  "its disk is nearly full: pulls and new files will fail",
                                  evidence,
                                  "",
                                  "remove what isn't used: `ollama rm NAME`",
                                  {}});
    } else if (disk.free_bytes < disk.largest_model_bytes) {
      verdict.findings.push_back(
          {"",
           Severity::kInfo,
           disk.path,
           fmt::format("no room for another version of its largest model ({})",
                       FormatBytes(disk.largest_model_bytes)),
           evidence,
           "",
           "remove what isn't used: `ollama rm NAME`",
           {}});
    }
  }
  return verdict;
}

bool LooksIntegrated(const std::string& name) {
  for (const char* word : {"UHD Graphics", "HD Graphics", "Iris", "Radeon Graphics", "780M", "680M",
                           "890M", "Vega 8", "Vega 7"})
    if (name.find(word) != std::string::npos) return true;
  return false;
}

Verdict IntegratedGpu(const DoctorFacts& facts) {
  if (!facts.cards) return {{}, facts.cards.why()};
  const auto is_integrated = [](const CardFacts& card) { return card.integrated; };
  const auto discrete = std::find_if_not(facts.cards->begin(), facts.cards->end(), is_integrated);
  const bool any = std::any_of(facts.cards->begin(), facts.cards->end(), is_integrated);
  if (!any || discrete == facts.cards->end()) return {};
  Verdict verdict;
  const auto add = [&](const std::string& where, const std::string& evidence,
                       const std::string& fix) {
    verdict.findings.push_back({"",
                                Severity::kWarning,
                                where,
                                fmt::format("the integrated graphics is used, though there is {}",
                                            SafeText(discrete->name, 60)),
                                evidence,
                                "",
                                fix,
                                {}});
  };
  if (facts.gpus && !facts.gpus->empty() && LooksIntegrated(facts.gpus->front().name))
    add("the engine", fmt::format("its first card is {}", SafeText(facts.gpus->front().name, 60)),
        "install the card's driver, or build with its backend: `trimma scan` says which it has");
  struct Hiding {
    const char* name;
    const char* card;  // whose cards it hides, as facts.cards names them
  };
  for (const auto& [name, card] : {Hiding{"CUDA_VISIBLE_DEVICES", "an NVIDIA card"},
                                   Hiding{"HIP_VISIBLE_DEVICES", "an AMD card"},
                                   Hiding{"ROCR_VISIBLE_DEVICES", "an AMD card"}}) {
    const bool concerned =
        std::any_of(facts.cards->begin(), facts.cards->end(),
                    [&](const auto& c) { return !c.integrated && c.name == card; });
    if (!concerned) continue;
    const auto hidden = ServerSetting(facts, name);
    if (hidden && *hidden && ((*hidden)->value == "-1" || (*hidden)->value.empty()))
      add((*hidden)->where, fmt::format("{}={} hides the card", name, (*hidden)->value),
          fmt::format("remove {}", name));
  }
  if (verdict.findings.empty() && (!facts.gpus || facts.gpus->empty()))
    verdict.unknown =
        "there are both kinds of graphics, and which one a server uses is not known here";
  return verdict;
}

Verdict OldDriver(const DoctorFacts& facts) {
  constexpr uint64_t kNeeded = 531;
  if (!facts.nvidia_driver) return {{}, facts.nvidia_driver.why()};
  if (facts.nvidia_driver->empty()) return {};
  const auto major = LeadingNumber(*facts.nvidia_driver);
  if (!major)
    return {{},
            fmt::format("the driver's version reads \"{}\"", SafeText(*facts.nvidia_driver, 40))};
  if (*major >= kNeeded) return {};
  return {{{"",
            Severity::kWarning,
            "this machine",
            fmt::format("the NVIDIA driver {} is older than Ollama's CUDA libraries need ({})",
                        SafeText(*facts.nvidia_driver, 40), kNeeded),
            "/proc/driver/nvidia/version",
            "",
            fmt::format("install a driver of version {} or later", kNeeded),
            {}}},
          ""};
}

}  // namespace

std::vector<Rule> MachineRules() {
  return {
      {"cpu-without-avx2", "llama.cpp de3ff81, ggml/src/CMakeLists.txt (CPU variants)",
       WithoutAvx2},
      {"power-saving", "https://docs.kernel.org/admin-guide/pm/cpufreq.html", PowerSaving},
      {"swap-in-use", "https://docs.kernel.org/accounting/psi.html; proc_pid_status(5)", SwapInUse},
      {"low-disk", "statvfs(3)", LowDisk},
      {"integrated-gpu", "Ollama v0.17.4, docs/gpu.mdx (GPU selection)", IntegratedGpu},
      {"old-driver", "Ollama v0.17.4, docs/gpu.mdx (driver version 531 and newer)", OldDriver},
  };
}

}  // namespace trimma
