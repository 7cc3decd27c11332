#include "cli/planning.h"

#include <fmt/format.h>

#include "cli/common.h"
#include "plan/kv.h"

namespace trimma {

Result<Planned> MakePlanFor(const GgufFile& file, const Machine& machine,
                            const PlanOptions& options) {
  TRY_STATUS(CheckContexts(options.contexts, file));
  PricingRequest request;
  request.contexts =
      options.contexts.empty() ? UsualContexts(TrainedContext(file)) : options.contexts;
  const std::vector<std::string> types =
      options.types.empty()
          ? std::vector<std::string>{"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M", "Q2_K"}
          : options.types;
  for (const std::string& name : types) {
    TRY(const FileType* type, ParseFileType(name));
    request.recipes.push_back(type);
  }
  const std::vector<std::string> kv_types =
      options.kv_types.empty() ? std::vector<std::string>{"f16", "q8_0", "q4_0"} : options.kv_types;
  std::vector<std::string> notes;
  for (const std::string& name : kv_types) {
    TRY(const std::string kv, ParseKvType(name));
    if (KvTypeFitsHeads(file, *TensorTypeByName(kv))) {
      request.kv_types.push_back(kv);
      continue;
    }
    const std::string why = fmt::format(
        "a KV cache of {} is not possible: its block of {} does not divide this model's head size",
        kv, InfoOf(*TensorTypeByName(kv)).block);
    if (!options.kv_types.empty()) return Error{Code::kUsage, why, "choose f16"};
    notes.push_back(why);
  }
  request.bench_outputs = options.bench_outputs;
  request.gpu_margin_bytes = kGpuMarginBytes;
  Planned planned;
  TRY(planned.pricing, PriceMixes(file, request));
  planned.plan = MakePlan(file, machine, planned.pricing);
  planned.plan.notes.insert(planned.plan.notes.begin(), notes.begin(), notes.end());
  return planned;
}

}  // namespace trimma
