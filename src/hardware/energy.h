// What a card has used, where NVIDIA's management library tells it.
#pragma once

#include <optional>
#include <vector>

namespace trimma {

class EnergyMeter {
 public:
  // What is asked of libnvidia-ml; 0 is success. A table, so that a test can stand in for it.
  struct Functions {
    int (*init)() = nullptr;
    int (*count)(unsigned int* cards) = nullptr;
    int (*handle)(unsigned int index, void** card) = nullptr;
    int (*energy)(void* card, unsigned long long* millijoules) = nullptr;
  };

  // nullopt: there is no such library, or a card that doesn't count.
  static std::optional<EnergyMeter> Open();
  static std::optional<EnergyMeter> With(const Functions& functions);

  // Since some moment, all cards together; nullopt where one doesn't answer.
  std::optional<double> Joules() const;

 private:
  Functions functions_;
  std::vector<void*> cards_;
};

// What spans of work used.
struct EnergyUse {
  double joules = 0;
  double seconds = 0;
  double tokens = 0;
  void Add(const EnergyUse& more);
};

// Seconds. The driver's counter moves on every 0.1 s at the latest, so that this is known within a
// tenth; of a span of 0.04 s, as a prompt takes on a large card, it told none at all.
inline constexpr double kShortestEnergySpan = 1;

// nullopt where the spans together are shorter than that.
std::optional<double> JoulesPerToken(const EnergyUse& use);

}  // namespace trimma
