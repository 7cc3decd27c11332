// What `quantize` says of a file that it made, or would make.
#pragma once

#include <string>

#include "quantize/craft_plan.h"
#include "quantize/quantize.h"

namespace trimma {

std::string Describe(const QuantizeReport& report, bool dry_run);
std::string Describe(const CraftPlan& plan, const std::string& output);

}  // namespace trimma
