// From kernels alone to kernels in a model: what the small models say that were run whole.
#pragma once

#include "hardware/kernels.h"

namespace trimma {

// Of what starts and of what reading weights take alone, a model's graph shows these shares; and
// so much of what a prompt takes.
struct Together {
  double starts = 1;
  double reading = 1;
  double prompt = 1;
};

// The shares that predict the host's own runs best, by least squares of relative errors; 1 where
// no run was measured.
Together FitTogether(const DeviceKernels& host);

// The host's kernels as a model sees them.
DeviceKernels InModels(const DeviceKernels& host);

}  // namespace trimma
