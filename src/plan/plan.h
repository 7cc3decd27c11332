// From prices to a plan: what fits, what each choice is worth, what to take. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hardware/machine.h"
#include "plan/cell.h"
#include "plan/choose.h"
#include "plan/pricing.h"
#include "plan/quality.h"
#include "plan/speed.h"

namespace trimma {

struct Plan {
  std::vector<PlanCell> cells;
  std::optional<size_t> recommended;  // nullopt: nothing fits, or wishes contradict each other
  std::string reason;
  std::optional<size_t> runner_up;
  std::string runner_up_reason;
  std::vector<std::string> would_change;
  std::optional<Error> refusal;  // where nothing is recommended
  std::vector<std::string> notes;
};

// Host memory kept free besides what the engine takes: our own process, its libraries and the
// system's working memory.
inline constexpr uint64_t kHostReserveBytes = 256ULL << 20;

// Contexts worth showing: 2048, 4096, 8192, 16384, 32768 and the model's own maximum, none beyond
// it.
std::vector<uint32_t> UsualContexts(uint32_t trained_context);

// The model's context length from its metadata; 0 if absent.
uint32_t TrainedContext(const GgufFile& file);

struct PlanQuestion {
  const GgufFile& file;
  const Machine& machine;  // as if it had the cards that were priced
  const Pricing& pricing;
  const LossTable& losses;
  // What the kernels are worth; cells have no speed without.
  std::vector<DeviceKernels> gpus;
  std::optional<DeviceKernels> host;
  Wishes wishes;
};

// What a model that takes these bytes leaves on the tightest of a machine's devices, what must stay
// free there included; negative where it doesn't fit.
int64_t RoomOf(const std::vector<DeviceBytes>& devices, const Machine& machine);

Plan MakePlan(const PlanQuestion& question);

// trimma.plan/1 without the machine.
Json ToJson(const Plan& plan);

}  // namespace trimma
