// A plan for the terminal, 80 columns wide.
#pragma once

#include <string>

#include "hardware/machine.h"
#include "plan/plan.h"

namespace trimma {

struct PlanText {
  std::string model;  // its name, type and size, as the heading
  int layers = 0;     // as -ngl counts
  bool all = false;   // every cell; else those of the Pareto front
  bool colour = false;
};

std::string RenderPlan(const Plan& plan, const Machine& machine, const PlanText& text);

// "4.3 billion weights".
std::string ParametersText(uint64_t parameters);

}  // namespace trimma
