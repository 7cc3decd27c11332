#include "cli/planning.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/common.h"
#include "plan/kv.h"
#include "plan/without_gpu.h"

namespace trimma {
namespace {

Result<std::vector<const FileType*>> Recipes(const std::vector<std::string>& names) {
  std::vector<const FileType*> recipes;
  if (names.size() == 1 && ToLower(names[0]) == "as-is") return recipes;
  const std::vector<std::string> usual = {"Q8_0",   "Q6_K",   "Q5_K_M", "Q4_K_M",
                                          "IQ4_XS", "Q3_K_M", "Q2_K"};
  for (const std::string& name : names.empty() ? usual : names) {
    TRY(const FileType* type, ParseFileType(name));
    recipes.push_back(type);
  }
  return recipes;
}

// "q8_0" or "q8_0/f16".
Result<KvTypes> ParseKvTypes(const std::string& text) {
  const size_t slash = text.find('/');
  KvTypes kv;
  TRY(kv.k, ParseKvType(text.substr(0, slash)));
  kv.v = kv.k;
  if (slash != std::string::npos) {
    TRY(kv.v, ParseKvType(text.substr(slash + 1)));
  }
  return kv;
}

// nullopt where the engine can run it.
std::optional<std::string> WhyNotCached(const GgufFile& file, const KvTypes& kv) {
  for (const std::string& type : {kv.k, kv.v}) {
    if (KvTypeFitsHeads(file, *TensorTypeByName(type))) continue;
    return fmt::format(
        "a KV cache of {} is not possible: its block of {} does not divide this model's head size",
        type, InfoOf(*TensorTypeByName(type)).block);
  }
  return std::nullopt;
}

// Whether this machine's processor may do without the GPUs that would hold the whole model.
bool GpusMayBeNeedless(const GgufFile& file, const PricingRequest& request,
                       const std::vector<DeviceKernels>& gpus, const DeviceKernels& host) {
  if (gpus.empty() || !request.base.use_gpu) return false;
  const SpeedModel speed(file, {}, gpus, host);
  return std::any_of(request.contexts.begin(), request.contexts.end(), [&](uint32_t context) {
    RuntimeSettings settings = request.base;
    settings.context = context;
    return HostMayBeFaster(speed, settings);
  });
}

}  // namespace

std::vector<DeviceKernels> KernelsOfGpus(const MachineScan& scan, const PlanTarget& target) {
  std::vector<DeviceKernels> gpus;
  for (size_t i = 0; i < target.machine.gpus.size(); ++i) {
    if (!target.imagined && scan.kernels && i + 1 < scan.kernels->devices.size()) {
      gpus.push_back(scan.kernels->devices[i]);
      continue;
    }
    CardSpeed card{target.machine.gpus[i].name, 0, 0, 0};
    if (target.cards[i]) {
      card.bandwidth_bytes_per_s = target.cards[i]->bandwidth_gb_per_s * 1e9;
      card.tensor_flops = target.cards[i]->tensor_tflops * 1e12;
      card.compute_capability = target.cards[i]->compute_capability;
    }
    gpus.push_back(KernelsOfCard(card));
  }
  return gpus;
}

std::optional<DeviceKernels> KernelsOfHost(const MachineScan& scan) {
  if (scan.kernels && !scan.kernels->devices.empty()) return scan.kernels->devices.back();
  const auto& bandwidth = scan.machine.memory.bandwidth_bytes_per_s;
  if (bandwidth) return KernelsOfBandwidth(*bandwidth, scan.machine.cpu.cores);
  return std::nullopt;
}

Result<Planned> MakePlanFor(const GgufFile& file, const MachineScan& scan, const PlanTarget& target,
                            const PlanOptions& options, std::optional<Child> child) {
  TRY_STATUS(CheckContexts(options.contexts, file));
  PricingRequest request;
  request.contexts =
      options.contexts.empty() ? UsualContexts(TrainedContext(file)) : options.contexts;
  TRY(request.recipes, Recipes(options.types));
  const std::vector<std::string> kv_names =
      options.kv.empty() ? std::vector<std::string>{"f16", "q8_0", "q4_0"} : options.kv;
  std::vector<std::string> notes = target.notes;
  for (const std::string& name : kv_names) {
    TRY(const KvTypes kv, ParseKvTypes(name));
    const auto why_not = WhyNotCached(file, kv);
    if (!why_not) {
      request.kv.push_back(kv);
    } else if (options.kv.empty()) {
      notes.push_back(*why_not);
    } else {
      return Error{Code::kUsage, *why_not, "choose f16"};
    }
  }
  request.base = options.base;
  request.target = target.pricing;
  if (target.pricing.cards && target.pricing.cards->empty()) request.base.use_gpu = false;
  const std::vector<DeviceKernels> gpus = KernelsOfGpus(scan, target);
  const std::optional<DeviceKernels> host = KernelsOfHost(scan);
  request.always_without_gpu = host && GpusMayBeNeedless(file, request, gpus, *host);
  Planned planned;
  TRY(planned.pricing, PriceMixes(file, request, std::move(child)));
  const LossTable losses = LossTable::For(file, MeasuredQualities::Load());
  planned.plan =
      MakePlan({file, target.machine, planned.pricing, losses, gpus, host, options.wishes});
  planned.plan.notes.insert(planned.plan.notes.begin(), notes.begin(), notes.end());
  return planned;
}

}  // namespace trimma
