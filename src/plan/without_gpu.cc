#include "plan/without_gpu.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace trimma {
namespace {

// A type's own speed on either side moves their ratio by less than this: where the host gets half
// of the GPU's speed with the file's own types, it may get all of it with others.
constexpr double kMayCatchUp = 2;

using Choice = std::tuple<size_t, uint32_t, std::string, std::string>;

Choice ChoiceOf(const PlanCell& cell) {
  const RuntimeSettings& s = cell.settings;
  return {cell.mix, s.context, s.kv_k, s.kv_v};
}

bool IsFasterInSomething(const PlanCell& a, const PlanCell& b) {
  return (a.decode_tps && b.decode_tps && a.decode_tps->value > b.decode_tps->value) ||
         (a.ttft_ms && b.ttft_ms && a.ttft_ms->value < b.ttft_ms->value);
}

}  // namespace

bool HostMayBeFaster(const SpeedModel& speed, const RuntimeSettings& settings) {
  RuntimeSettings without = settings;
  without.use_gpu = false;
  const SpeedPrediction gpu = speed.Predict(settings);
  const SpeedPrediction host = speed.Predict(without);
  return (gpu.decode_tps && host.decode_tps &&
          host.decode_tps->value * kMayCatchUp >= gpu.decode_tps->value) ||
         (gpu.ttft_ms && host.ttft_ms && host.ttft_ms->value <= gpu.ttft_ms->value * kMayCatchUp);
}

void DropNeedlessWithoutGpu(std::vector<PlanCell>& cells) {
  std::map<Choice, const PlanCell*> on_gpus;
  for (const PlanCell& cell : cells) {
    if (cell.settings.use_gpu) on_gpus[ChoiceOf(cell)] = &cell;
  }
  std::vector<PlanCell> kept;
  for (const PlanCell& cell : cells) {
    const auto twin = on_gpus.find(ChoiceOf(cell));
    const bool needless = !cell.settings.use_gpu && twin != on_gpus.end() && twin->second->fits &&
                          !(cell.fits && IsFasterInSomething(cell, *twin->second));
    if (!needless) kept.push_back(cell);
  }
  cells = std::move(kept);
}

}  // namespace trimma
