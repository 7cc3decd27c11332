// Where the time of `trimma optimize` goes.
#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "report/record.h"

namespace trimma {

class Steps {
 public:
  explicit Steps(OptimizeRecord& record) : record_(record) {}
  // Of the step that ends now: it began where the one before ended.
  void End(const std::string& name) {
    const auto now = Clock::now();
    record_.steps.push_back({name, std::chrono::duration<double>(now - last_).count()});
    last_ = now;
  }

 private:
  OptimizeRecord& record_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace trimma
