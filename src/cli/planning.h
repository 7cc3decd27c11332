// From a file and wishes to a plan: what `plan` and `optimize` share.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace trimma {

struct PlanOptions {
  std::vector<uint32_t> contexts;     // empty: the usual ones
  std::vector<std::string> types;     // empty: the usual ones
  std::vector<std::string> kv_types;  // empty: f16, q8_0, q4_0
  bool bench_outputs = false;
};

struct Planned {
  Pricing pricing;
  Plan plan;
};

Result<Planned> MakePlanFor(const GgufFile& file, const Machine& machine,
                            const PlanOptions& options);

}  // namespace trimma
