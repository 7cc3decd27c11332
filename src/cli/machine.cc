#include "cli/machine.h"

#include <fmt/format.h>

#include "base/build_info.h"
#include "base/file.h"
#include "cli/overheads.h"
#include "engine/engine.h"
#include "hardware/bandwidth.h"

namespace trimma {
namespace {

std::string MeasuredPath() { return StateDirectory() + "/machine.json"; }

// A measurement holds for this processor with this many usable cores.
std::string MachineKey(const Machine& machine) {
  return fmt::format("{}, {} threads", machine.cpu.name, machine.cpu.threads);
}

std::string KernelsPath() { return StateDirectory() + "/kernels.json"; }

// Kernels are those of one engine, its backends, the GPUs and their driver besides.
Json KernelsKey(const MachineScan& scan) {
  Json gpus = Json::array();
  for (const Gpu& gpu : scan.machine.gpus) gpus.push_back(gpu.name);
  return {{"machine", MachineKey(scan.machine)},
          {"engine", build_info::kEngineCommit},
          {"backends", build_info::kEngineBackends},
          {"gpus", gpus},
          {"driver", DriverVersion()}};
}

void AddKernels(MachineScan& scan) {
  const auto text = ReadSmallFile(KernelsPath(), 1 << 20);
  if (!text.ok()) return;
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("key") || json["key"] != KernelsKey(scan) ||
      !json.contains("kernels"))
    return;
  auto table = KernelTableFromJson(json["kernels"]);
  if (table.ok()) scan.kernels = std::move(table).value();
}

// Weights that are timed lie in so much memory: beyond the caches of all but the largest servers.
constexpr uint64_t kKernelPoolBytes = 256ULL << 20;
// A little less than the promised 20 s: what is begun is brought to its end.
constexpr double kKernelSeconds = 17;

void AddMeasured(Machine& machine) {
  const auto text = ReadSmallFile(MeasuredPath(), 1 << 20);
  if (!text.ok()) return;
  const Json json = Json::parse(*text, nullptr, false);
  if (json.is_object() && json.value("machine", "") == MachineKey(machine) &&
      json.contains("bandwidth_bytes_per_s") && json["bandwidth_bytes_per_s"].is_number()) {
    machine.memory.bandwidth_bytes_per_s = json["bandwidth_bytes_per_s"].get<double>();
  }
}

}  // namespace

MachineScan ScanMachine() {
  MachineScan scan;
  scan.machine = Probe();
  AddMeasured(scan.machine);
  if (!HasGpuBackends()) {
    scan.backends = {"CPU"};
    AddKernels(scan);
    return scan;
  }
  const auto devices = RunChild("devices", Json::object());
  if (!devices.ok()) {
    scan.notes.push_back(
        fmt::format("the engine's backends could not be asked: {}", devices.error().what));
    return scan;
  }
  scan.backends = devices->at("backends").get<std::vector<std::string>>();
  for (const Json& gpu : devices->at("gpus")) {
    scan.machine.gpus.push_back(
        {gpu.at("name"), gpu.at("backend"), gpu.at("total_bytes"), gpu.at("free_bytes")});
  }
  AddKernels(scan);
  return scan;
}

Spread BenchMachine(MachineScan& scan) {
  BandwidthOptions options;
  options.threads = scan.machine.cpu.cores;
  const Spread bandwidth = MeasureReadBandwidth(options);
  scan.machine.memory.bandwidth_bytes_per_s = bandwidth.median;
  const Json json = {{"machine", MachineKey(scan.machine)},
                     {"bandwidth_bytes_per_s", bandwidth.median}};
  Status kept = MakeDirectories(StateDirectory());
  if (kept.ok()) kept = WriteFileAtomically(MeasuredPath(), json.dump(2) + "\n");
  if (!kept.ok())
    scan.notes.push_back(fmt::format("the measurement can't be kept: {}", kept.error().what));
  return bandwidth;
}

Status BenchKernels(MachineScan& scan, const std::function<void(double)>& progress) {
  const Json request = {{"budget_seconds", kKernelSeconds},
                        {"threads", scan.machine.cpu.cores},
                        {"pool_bytes", kKernelPoolBytes}};
  TRY(const Json answer, RunChild("kernels", request, [&](const Json& event) {
        if (progress && event.contains("progress")) progress(event["progress"].get<double>());
      }));
  TRY(scan.kernels, KernelTableFromJson(answer));
  const Json json = {{"key", KernelsKey(scan)}, {"kernels", answer}};
  Status kept = MakeDirectories(StateDirectory());
  if (kept.ok()) kept = WriteFileAtomically(KernelsPath(), json.dump(2) + "\n");
  if (!kept.ok())
    scan.notes.push_back(fmt::format("the kernels' speed can't be kept: {}", kept.error().what));
  return {};
}

Result<Json> DevicesJob(const Json&, const Emit&) {
  TRY_STATUS(StartEngine());
  Machine machine;
  machine.gpus = EngineGpus();
  return Json{{"backends", EngineBackends()}, {"gpus", ToJson(machine).at("gpus")}};
}

}  // namespace trimma
