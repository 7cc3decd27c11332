#include "hardware/energy.h"

#include <dlfcn.h>

namespace trimma {
namespace {

template <typename Function>
void Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

std::optional<EnergyMeter> EnergyMeter::Open() {
  // It stays loaded: the driver's threads may outlive us.
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  Functions functions;
  Find(library, "nvmlInit_v2", functions.init);
  Find(library, "nvmlDeviceGetCount_v2", functions.count);
  Find(library, "nvmlDeviceGetHandleByIndex_v2", functions.handle);
  Find(library, "nvmlDeviceGetTotalEnergyConsumption", functions.energy);
  return With(functions);
}

std::optional<EnergyMeter> EnergyMeter::With(const Functions& f) {
  if (f.init == nullptr || f.count == nullptr || f.handle == nullptr || f.energy == nullptr)
    return std::nullopt;
  unsigned int count = 0;
  if (f.init() != 0 || f.count(&count) != 0 || count == 0) return std::nullopt;
  EnergyMeter meter;
  meter.functions_ = f;
  for (unsigned int i = 0; i < count; ++i) {
    void* card = nullptr;
    if (f.handle(i, &card) != 0) return std::nullopt;
    meter.cards_.push_back(card);
  }
  if (!meter.Joules()) return std::nullopt;  // a card too old to count
  return meter;
}

std::optional<double> EnergyMeter::Joules() const {
  double joules = 0;
  for (void* card : cards_) {
    unsigned long long millijoules = 0;
    if (functions_.energy(card, &millijoules) != 0) return std::nullopt;
    joules += static_cast<double>(millijoules) / 1000;
  }
  return joules;
}

void EnergyUse::Add(const EnergyUse& more) {
  joules += more.joules;
  seconds += more.seconds;
  tokens += more.tokens;
}

std::optional<double> JoulesPerToken(const EnergyUse& use) {
  if (use.seconds < kShortestEnergySpan || use.tokens <= 0 || use.joules < 0) return std::nullopt;
  return use.joules / use.tokens;
}

}  // namespace trimma
