#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/units.h"
#include "plan/without_gpu.h"

namespace trimma {
namespace {

// What may be taken on each device.
std::vector<uint64_t> Budgets(const std::vector<DeviceBytes>& devices, const Machine& machine) {
  const auto less = [](uint64_t all, uint64_t part) { return all > part ? all - part : 0; };
  std::vector<uint64_t> budgets;
  for (size_t i = 0; i + 1 < devices.size(); ++i)
    budgets.push_back(less(devices[i].free_bytes, devices[i].reserve_bytes));
  budgets.push_back(less(machine.memory.available_bytes, kHostReserveBytes));
  return budgets;
}

bool IsWhole(const PricedCell& cell, int layers) {
  if (cell.devices.size() == 1) return true;
  return cell.settings.use_gpu && cell.settings.host_tensors.empty() &&
         cell.settings.gpu_layers.value_or(layers) >= layers;
}

// Weights on the host though all layers are on a GPU, by mix; empty where no cell shows it.
std::vector<uint64_t> HostWeights(const Plan& plan, size_t mixes) {
  std::vector<uint64_t> weights(mixes, 0);
  std::vector<bool> known(mixes, false);
  for (const PlanCell& cell : plan.cells) {
    if (cell.devices.size() == 1 || !cell.whole) continue;
    weights[cell.mix] = cell.devices.back().weights_bytes;
    known[cell.mix] = true;
  }
  if (std::find(known.begin(), known.end(), false) != known.end()) return {};
  return weights;
}

// Guides count "4-bit is a quarter" from whatever size a download has; most downloads are 4-bit
// already.
std::optional<std::string> AlreadySmall(const GgufFile& file) {
  const double bits = file.bits_per_weight();
  if (IsUnquantised(file) || bits >= 6) return std::nullopt;
  const auto least = static_cast<uint64_t>(static_cast<double>(file.parameters()) / 2);
  return fmt::format(
      "the file is quantised already, to {:.1f} bits per weight; 4 bits for each of its weights "
      "would be {}, so a \"4-bit version\" of a quarter of its size ({}) can't exist",
      bits, FormatBytes(least), FormatBytes(file.file_bytes / 4));
}

}  // namespace

std::vector<uint32_t> UsualContexts(uint32_t trained_context) {
  std::vector<uint32_t> contexts;
  for (const uint32_t context : {2048U, 4096U, 8192U, 16384U, 32768U}) {
    if (trained_context == 0 || context < trained_context) contexts.push_back(context);
  }
  if (trained_context > 0) contexts.push_back(trained_context);
  return contexts;
}

uint32_t TrainedContext(const GgufFile& file) {
  const auto context = file.metadata.Integer(file.architecture() + ".context_length");
  return context && *context > 0 && *context <= INT32_MAX ? static_cast<uint32_t>(*context) : 0;
}

int64_t RoomOf(const std::vector<DeviceBytes>& devices, const Machine& machine) {
  const std::vector<uint64_t> budgets = Budgets(devices, machine);
  int64_t room = INT64_MAX;
  for (size_t i = 0; i < budgets.size(); ++i) {
    room = std::min(
        room, static_cast<int64_t>(budgets[i]) - static_cast<int64_t>(devices[i].total_bytes()));
  }
  return room;
}

Plan MakePlan(const PlanQuestion& question) {
  const auto& [file, machine, pricing, losses, gpus, host, wishes] = question;
  std::vector<std::unique_ptr<SpeedModel>> speeds(pricing.mixes.size());
  Plan plan;
  for (const PricedCell& priced : pricing.cells) {
    const Mix& mix = pricing.mixes[priced.mix];
    PlanCell cell;
    cell.type = mix.label;
    cell.file_bytes = mix.file_bytes;
    cell.settings = priced.settings;
    cell.devices = priced.devices;
    cell.fits = RoomOf(cell.devices, machine) >= 0;
    cell.whole = IsWhole(priced, pricing.layers);
    cell.mix = priced.mix;
    cell.mean_kld = losses.Loss(mix, cell.settings.kv_k, cell.settings.kv_v);
    if (host) {
      auto& speed = speeds[priced.mix];
      if (!speed) speed = std::make_unique<SpeedModel>(file, mix.assignment.types, gpus, *host);
      const SpeedPrediction predicted = speed->Predict(cell.settings);
      cell.decode_tps = predicted.decode_tps;
      cell.prefill_tps = predicted.prefill_tps;
      cell.ttft_ms = predicted.ttft_ms;
    }
    plan.cells.push_back(std::move(cell));
  }
  DropNeedlessWithoutGpu(plan.cells);
  MarkPareto(plan.cells);

  ChoiceFacts facts;
  facts.source_is_quantised = !IsUnquantised(file);
  facts.source_label = TypeLabel(file);
  facts.parameters = file.parameters();
  facts.has_gpu = !machine.gpus.empty();
  if (!plan.cells.empty()) facts.budget_bytes = Budgets(plan.cells.front().devices, machine);
  facts.host_available_bytes = machine.memory.available_bytes;
  facts.host_weights_bytes = HostWeights(plan, pricing.mixes.size());
  const Answer answer = Choose(plan.cells, facts, wishes);
  plan.recommended = answer.recommended;
  plan.reason = answer.reason;
  plan.runner_up = answer.runner_up;
  plan.runner_up_reason = answer.runner_up_reason;
  plan.would_change = answer.would_change;
  plan.refusal = answer.refusal;

  if (!host) {
    plan.notes.emplace_back(
        "speed is not predicted: this machine's kernels were not measured (run `trimma scan "
        "--bench` once, it takes 20 seconds)");
  }
  plan.notes.push_back(losses.basis());
  if (const auto note = AlreadySmall(file)) plan.notes.push_back(*note);
  for (const Mix& mix : pricing.mixes) {
    for (const std::string& note : mix.assignment.notes)
      plan.notes.push_back(fmt::format("{}: {}", mix.label, note));
  }
  return plan;
}

Json ToJson(const Plan& plan) {
  Json cells = Json::array();
  for (const PlanCell& cell : plan.cells) cells.push_back(ToJson(cell));
  const auto index = [](const std::optional<size_t>& i) { return i ? Json(*i) : Json(); };
  return {{"schema", "trimma.plan/1"},
          {"cells", cells},
          {"recommended", index(plan.recommended)},
          {"reason", plan.reason},
          {"runner_up", index(plan.runner_up)},
          {"runner_up_reason", plan.runner_up_reason},
          {"would_change", plan.would_change},
          {"notes", plan.notes}};
}

}  // namespace trimma
