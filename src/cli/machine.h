// The whole machine: what hardware/ probes, what the engine's backends see, what was measured
// before.
#pragma once

#include "base/child.h"
#include "base/stats.h"
#include "hardware/machine.h"

namespace trimma {

struct MachineScan {
  Machine machine;
  std::vector<std::string> backends;  // loaded by the engine
  std::vector<std::string> notes;     // what could not be found out, one sentence each
};

// Probes, asks the engine for GPUs (in a child; skipped where it was built for the CPU alone), and
// adds the bandwidth that an earlier `scan --bench` measured on this machine.
MachineScan ScanMachine();

// Measures memory bandwidth and keeps it.
Spread BenchMachine(MachineScan& scan);

// The child's side.
Result<Json> DevicesJob(const Json& request, const Emit& emit);

}  // namespace trimma
