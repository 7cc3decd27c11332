// Processor, power, swap, disks and cards.
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "doctor/gather.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

// Mains are known and none is connected.
bool OnBattery(const std::string& sys) {
  std::error_code error;
  bool mains = false;
  bool battery = false;
  for (fs::directory_iterator entry(sys + "/class/power_supply", error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string type = LineIn(entry->path().string() + "/type");
    if (type == "Mains" && LineIn(entry->path().string() + "/online") == "1") return false;
    mains |= type == "Mains";
    battery |= type == "Battery" && LineIn(entry->path().string() + "/status") == "Discharging";
  }
  return mains && battery;
}

Fact<PowerFacts> Power(const std::string& sys) {
  const std::string policy = sys + "/devices/system/cpu/cpu0/cpufreq";
  PowerFacts power;
  power.governor = LineIn(policy + "/scaling_governor");
  if (power.governor.empty())
    return Fact<PowerFacts>::Unknown(
        "the kernel shows no cpufreq here (a virtual machine or container, mostly)");
  power.driver = LineIn(policy + "/scaling_driver");
  power.preference = LineIn(policy + "/energy_performance_preference");
  power.allowed_khz = NumberIn(policy + "/scaling_max_freq").value_or(0);
  power.possible_khz =
      power.allowed_khz > 0 ? NumberIn(policy + "/cpuinfo_max_freq").value_or(0) : 0;
  power.profile = LineIn(sys + "/firmware/acpi/platform_profile");
  power.on_battery = OnBattery(sys);
  return power;
}

Fact<SwapFacts> Swap(const std::string& proc) {
  const auto meminfo = ReadPseudoFile(proc + "/meminfo");
  if (!meminfo.ok()) return Fact<SwapFacts>::Unknown("/proc/meminfo can't be read");
  const auto kib = [&](const char* key) {
    return LeadingNumber(ValueOf(*meminfo, key).value_or("")).value_or(0);
  };
  SwapFacts swap;
  swap.total_bytes = kib("SwapTotal") << 10;
  swap.used_bytes = (kib("SwapTotal") - std::min(kib("SwapTotal"), kib("SwapFree"))) << 10;
  // "some avg10=0.00 avg60=1.25 ..."; kernels without it say nothing.
  const auto pressure = ReadPseudoFile(proc + "/pressure/memory");
  if (pressure.ok()) {
    const size_t at = pressure->find("avg60=");
    if (at != std::string::npos)
      swap.stalled_percent = std::strtod(pressure->c_str() + at + 6, nullptr);
  }
  return swap;
}

std::vector<DiskFacts> Disks(const Surroundings& around, const DoctorFacts& facts) {
  std::vector<DiskFacts> disks;
  std::vector<std::string> roots = around.models.ollama;
  roots.insert(roots.end(), around.models.huggingface.begin(), around.models.huggingface.end());
  roots.insert(roots.end(), around.models.lmstudio.begin(), around.models.lmstudio.end());
  for (const std::string& root : roots) {
    struct statvfs st{};
    if (statvfs(root.c_str(), &st) != 0) continue;  // there is no such store
    DiskFacts disk;
    disk.path = ShownPath(around, root);
    disk.free_bytes = static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
    disk.total_bytes = static_cast<uint64_t>(st.f_blocks) * st.f_frsize;
    if (facts.models) {
      for (const DoctorModel& model : *facts.models)
        if (model.path.starts_with(root + "/"))
          disk.largest_model_bytes = std::max(disk.largest_model_bytes, model.file_bytes);
    }
    disks.push_back(disk);
  }
  return disks;
}

constexpr const char* kNvidia = "0x10de";
constexpr const char* kAmd = "0x1002";
constexpr const char* kIntel = "0x8086";

// What an AMD processor's own graphics has as video memory by default is at most this.
constexpr uint64_t kCarvedOut = 4ULL << 30;

Fact<std::vector<CardFacts>> Cards(const std::string& sys) {
  std::vector<CardFacts> cards;
  std::error_code error;
  fs::directory_iterator entry(sys + "/class/drm", error);
  if (error) return cards;  // a kernel without graphics
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    if (!entry->path().filename().string().starts_with("renderD")) continue;
    const std::string device = entry->path().string() + "/device";
    const std::string vendor = LineIn(device + "/vendor");
    CardFacts card;
    if (vendor == kNvidia) card.name = "an NVIDIA card";
    if (vendor == kAmd) {
      card.integrated = NumberIn(device + "/mem_info_vram_total").value_or(0) < kCarvedOut;
      card.name = card.integrated ? "AMD graphics in the processor" : "an AMD card";
    }
    if (vendor == kIntel) {
      // The processor's own graphics has a fixed place on the bus.
      std::error_code ignored;
      card.integrated = fs::canonical(device, ignored).filename().string() == "0000:00:02.0";
      card.name = card.integrated ? "Intel graphics in the processor" : "an Intel card";
    }
    if (!card.name.empty()) cards.push_back(card);
  }
  return cards;
}

Fact<std::string> NvidiaDriver(const Surroundings& around, const DoctorFacts& facts) {
  const auto version = ReadPseudoFile(around.root + "/proc/driver/nvidia/version");
  if (!version.ok()) {
    const bool has_card = facts.cards && std::any_of(facts.cards->begin(), facts.cards->end(),
                                                     [](const CardFacts& card) {
                                                       return card.name == "an NVIDIA card";
                                                     });
    if (!has_card) return std::string();
    return Fact<std::string>::Unknown("there is an NVIDIA card, but not NVIDIA's driver");
  }
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu ...": the first word that is
  // digits and dots.
  for (const std::string& word : Split(Split(*version, '\n').front(), ' ')) {
    const bool is_version = word.find('.') != std::string::npos &&
                            word.find_first_not_of("0123456789.") == std::string::npos;
    if (is_version) return word;
  }
  return Fact<std::string>::Unknown("/proc/driver/nvidia/version names no version");
}

}  // namespace

void GatherMachine(const Surroundings& around, DoctorFacts& facts) {
  const std::string sys = around.root + "/sys";
  facts.machine = Probe({around.root + "/proc", sys});
  facts.power = Power(sys);
  facts.swap = Swap(around.root + "/proc");
  facts.disks = Disks(around, facts);
  facts.cards = Cards(sys);
  facts.gpus = around.gpus;
  // No card: whatever the engine was built for, there is none to see.
  if (!facts.gpus && facts.cards->empty()) facts.gpus = std::vector<Gpu>();
  facts.nvidia_driver = NvidiaDriver(around, facts);
}

}  // namespace trimma
