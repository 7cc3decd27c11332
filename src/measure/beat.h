// Signs of life of a measuring child: one that says nothing for minutes counts as hanging.
#pragma once

#include <chrono>

#include "base/child.h"
#include "base/clock.h"

namespace trimma {

class Beat {
 public:
  explicit Beat(const Emit& emit) : emit_(emit) {}
  void Progress(double share) {
    share_ = share;
    Say();
  }
  // Costs next to nothing, so that it may be called between any two evaluations.
  void Alive() {
    if (Clock::now() - last_ > kSilence) Say();
  }

 private:
  static constexpr std::chrono::seconds kSilence{1};
  void Say() {
    emit_({{"progress", share_}});
    last_ = Clock::now();
  }
  const Emit& emit_;
  double share_ = 0;
  Clock::time_point last_ = Clock::now();
};

}  // namespace trimma
