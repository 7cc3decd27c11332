// Choices that leave the GPUs out wholly, beside those that use them: when they are worth a price,
// and when a place in the plan. Pure.
#pragma once

#include <vector>

#include "engine/runtime.h"
#include "plan/cell.h"
#include "plan/speed.h"

namespace trimma {

// Whether the host alone may be as fast as the GPUs that hold the whole model, by prediction and
// its doubts; false where either can't be predicted. `settings` without a placement.
bool HostMayBeFaster(const SpeedModel& speed, const RuntimeSettings& settings);

// A choice with use_gpu = false stays only where its twin, the same type, context and cache on the
// GPUs, doesn't fit or is slower in something: otherwise it says nothing that the twin doesn't say
// better. Where no speed is predicted, a twin that fits is taken for faster. Order is kept.
void DropNeedlessWithoutGpu(std::vector<PlanCell>& cells);

}  // namespace trimma
