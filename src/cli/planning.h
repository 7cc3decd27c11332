// From a file and wishes to a plan: what `plan` and `optimize` share.
#pragma once

#include <string>
#include <vector>

#include "cli/machine.h"
#include "cli/target.h"
#include "plan/plan.h"

namespace trimma {

struct PlanOptions {
  std::vector<uint32_t> contexts;  // empty: the usual ones
  std::vector<std::string> types;  // empty: the usual ones; "as-is": the file's own alone
  std::vector<std::string> kv;     // "f16", or K and V apart: "q8_0/f16"; empty: f16, q8_0, q4_0
  RuntimeSettings base;            // the rest of the settings; gpu_layers only where asked for
  Wishes wishes;
};

struct Planned {
  Pricing pricing;
  Plan plan;
};

// Kernels of the GPUs that a plan is for: measured ones of this machine's, else the data sheet's.
std::vector<DeviceKernels> KernelsOfGpus(const MachineScan& scan, const PlanTarget& target);
// Of this machine without them: measured, else as far as its bandwidth tells; nullopt: nothing is
// known.
std::optional<DeviceKernels> KernelsOfHost(const MachineScan& scan);

// `scan` is of this machine, `target` where the model is to run: as ChooseTarget gave it. `child`:
// as PriceMixes takes it.
Result<Planned> MakePlanFor(const GgufFile& file, const MachineScan& scan, const PlanTarget& target,
                            const PlanOptions& options, std::optional<Child> child = std::nullopt);

}  // namespace trimma
