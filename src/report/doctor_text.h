// What doctor found, for the terminal and as trimma.doctor/1.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "doctor/fix.h"
#include "doctor/rules.h"

namespace trimma {

struct DoctorReport {
  Diagnosis diagnosis;
  std::vector<std::string> notes;
  std::optional<FixPlan> fixes;  // made, with --fix
};

// One line a finding, its fix below it; then what is not known, what was changed, and a count.
std::string ToText(const DoctorReport& report);
Json ToJson(const DoctorReport& report);

}  // namespace trimma
