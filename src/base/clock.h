// The clock that measures: it never jumps.
#pragma once

#include <chrono>

namespace trimma {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline double MillisecondsSince(Clock::time_point start) { return SecondsSince(start) * 1000; }

}  // namespace trimma
