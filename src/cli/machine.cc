#include "cli/machine.h"

#include <fmt/format.h>

#include <cstring>

#include "base/build_info.h"
#include "base/file.h"
#include "engine/engine.h"
#include "hardware/bandwidth.h"

namespace trimma {
namespace {

std::string MeasuredPath() { return StateDirectory() + "/machine.json"; }

// A measurement holds for this processor with this many usable cores.
std::string MachineKey(const Machine& machine) {
  return fmt::format("{}, {} threads", machine.cpu.name, machine.cpu.threads);
}

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
  if (std::strcmp(build_info::kEngineBackends, "cpu") == 0) {
    scan.backends = {"CPU"};
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

Result<Json> DevicesJob(const Json&, const Emit&) {
  TRY_STATUS(StartEngine());
  Machine machine;
  machine.gpus = EngineGpus();
  return Json{{"backends", EngineBackends()}, {"gpus", ToJson(machine).at("gpus")}};
}

}  // namespace trimma
