// The whole machine: what hardware/ probes, what the engine's backends see, what was measured
// before.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/stats.h"
#include "hardware/kernels.h"
#include "hardware/machine.h"

namespace trimma {

struct MachineScan {
  Machine machine;
  std::vector<std::string> backends;  // loaded by the engine
  // What an earlier `scan --bench` measured on this machine, with this engine, these GPUs and their
  // driver.
  std::optional<KernelTable> kernels;
  std::vector<std::string> notes;  // what could not be found out, one sentence each
};

// Probes, asks the engine for GPUs (in a child; skipped where it was built for the CPU alone), and
// adds what an earlier `scan --bench` measured on this machine.
MachineScan ScanMachine();

// Measures memory bandwidth (a second) and keeps it.
Spread BenchMachine(MachineScan& scan);

// Measures the engine's kernels (under 20 seconds), keeps them, and adds them to the scan.
// `progress` gets the share done.
Status BenchKernels(MachineScan& scan, const std::function<void(double)>& progress = {});

// The child's side.
Result<Json> DevicesJob(const Json& request, const Emit& emit);

}  // namespace trimma
