#include "quantize/calibration/passes.h"

#include <algorithm>

#include "base/result.h"

namespace trimma {
namespace {

constexpr uint64_t kBlockStep = 256;

void CutToFit(ModelInput& input, uint64_t memory_bytes) {
  for (uint64_t parts = 2; MomentBytes(input) > memory_bytes; ++parts) {
    const uint64_t block = input.n / parts;
    if (block < kBlockStep) break;
    if (input.n % parts == 0 && block % kBlockStep == 0) input.block = block;
  }
}

// These inputs one after the other into as few passes as the memory allows.
std::vector<std::vector<size_t>> Filled(const std::vector<ModelInput>& inputs,
                                        const std::vector<size_t>& which, uint64_t memory_bytes) {
  std::vector<std::vector<size_t>> passes;
  uint64_t left = 0;
  for (const size_t i : which) {
    const uint64_t bytes = MomentBytes(inputs[i]);
    if (passes.empty() || bytes > left) {
      passes.emplace_back();
      left = memory_bytes;
    }
    passes.back().push_back(i);
    left -= std::min(left, bytes);
  }
  return passes;
}

std::vector<std::vector<size_t>> HostPasses(std::vector<ModelInput>& inputs,
                                            const std::vector<size_t>& which,
                                            uint64_t memory_bytes) {
  for (const size_t i : which) CutToFit(inputs[i], memory_bytes);
  return Filled(inputs, which, memory_bytes);
}

void Join(std::vector<std::vector<size_t>>& passes, const std::vector<std::vector<size_t>>& more) {
  passes.resize(std::max(passes.size(), more.size()));
  for (size_t pass = 0; pass < more.size(); ++pass)
    passes[pass].insert(passes[pass].end(), more[pass].begin(), more[pass].end());
}

}  // namespace

SumsPlan PlanPasses(std::vector<ModelInput>& inputs,
                    const std::vector<std::optional<size_t>>& lies_on, const SumsMemory& memory,
                    PassCost cost) {
  CHECK(lies_on.size() == inputs.size());
  std::vector<size_t> all(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) all[i] = i, inputs[i].block = inputs[i].n;
  std::optional<size_t> most;
  if (cost == PassCost::kMuch) {
    std::vector<ModelInput> copy = inputs;
    most = HostPasses(copy, all, memory.host_bytes).size();
  }

  SumsPlan plan;
  plan.devices.resize(inputs.size());
  for (size_t device = 0; device < memory.device_bytes.size(); ++device) {
    const uint64_t bytes = memory.device_bytes[device];
    std::vector<size_t> fitting;
    uint64_t product = 0;
    for (const size_t i : all) {
      if (lies_on[i] != device || MomentBytes(inputs[i]) > bytes / 2) continue;
      fitting.push_back(i);
      product = std::max(product, MomentBytes(inputs[i]));
    }
    std::vector<std::vector<size_t>> passes = Filled(inputs, fitting, bytes - product);
    if (most && passes.size() > *most) passes.resize(*most);
    for (const std::vector<size_t>& pass : passes) {
      for (const size_t i : pass) plan.devices[i] = device;
    }
    Join(plan.passes, passes);
  }
  std::vector<size_t> on_host;
  for (const size_t i : all) {
    if (!plan.devices[i]) on_host.push_back(i);
  }
  Join(plan.passes, HostPasses(inputs, on_host, memory.host_bytes));
  for (std::vector<size_t>& pass : plan.passes) std::sort(pass.begin(), pass.end());
  return plan;
}

}  // namespace trimma
