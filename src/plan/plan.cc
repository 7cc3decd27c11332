#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace trimma {
namespace {

bool Fits(const std::vector<DeviceBytes>& devices, const Machine& machine) {
  for (size_t i = 0; i + 1 < devices.size(); ++i) {
    if (devices[i].total_bytes() + kGpuMarginBytes > devices[i].free_bytes) return false;
  }
  return devices.back().total_bytes() + kHostReserveBytes <= machine.memory.available_bytes;
}

std::optional<double> DecodeBound(const GgufFile& file, const Mix& mix, const PricedCell& cell,
                                  const Machine& machine) {
  if (!machine.memory.bandwidth_bytes_per_s || cell.devices.size() > 1) return std::nullopt;
  // Half the context filled, on average over a conversation that fills it.
  const double kv = static_cast<double>(cell.devices.back().kv_bytes) / 2;
  const double bytes = static_cast<double>(BytesPerToken(file, mix.assignment.types)) + kv;
  return *machine.memory.bandwidth_bytes_per_s / bytes;
}

uint64_t AllBytes(const PlanCell& cell) {
  uint64_t sum = 0;
  for (const DeviceBytes& device : cell.devices) sum += device.total_bytes();
  return sum;
}

// KV-cache types in order of what they keep.
int KvRank(const std::string& kv) {
  return kv == "f32" ? 4 : kv == "f16" || kv == "bf16" ? 3 : kv == "q8_0" ? 2 : 1;
}

bool Dominates(const PlanCell& a, const PlanCell& b) {
  const bool no_worse = a.file_bytes >= b.file_bytes && a.settings.context >= b.settings.context &&
                        KvRank(a.settings.kv_k) >= KvRank(b.settings.kv_k) &&
                        AllBytes(a) <= AllBytes(b);
  const bool better = a.file_bytes > b.file_bytes || a.settings.context > b.settings.context ||
                      KvRank(a.settings.kv_k) > KvRank(b.settings.kv_k) ||
                      AllBytes(a) < AllBytes(b);
  return no_worse && better;
}

void MarkPareto(std::vector<PlanCell>& cells) {
  for (PlanCell& cell : cells) {
    cell.pareto = cell.fits && std::none_of(cells.begin(), cells.end(), [&](const PlanCell& other) {
                    return other.fits && Dominates(other, cell);
                  });
  }
}

// The context most chats live in; more is memory that something else could use.
constexpr uint32_t kWantedContext = 8192;

struct Choice {
  std::optional<size_t> index;
  std::string reason;
};

// The first fitting cell in order of: layers on the GPU, the KV cache in f16, the wanted context.
std::optional<size_t> BestOfMix(const std::vector<PlanCell>& cells, size_t mix) {
  std::optional<size_t> best;
  const auto key = [&](const PlanCell& c) {
    const uint32_t context = std::min(c.settings.context, kWantedContext);
    return std::tuple(c.settings.gpu_layers.value_or(0), context, KvRank(c.settings.kv_k),
                      ~c.settings.context);
  };
  for (size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].mix != mix || !cells[i].fits) continue;
    if (!best || key(cells[i]) > key(cells[*best])) best = i;
  }
  return best;
}

std::optional<size_t> MixOf(const Pricing& pricing, const char* label) {
  for (size_t i = 0; i < pricing.mixes.size(); ++i) {
    if (pricing.mixes[i].label == label) return i;
  }
  return std::nullopt;
}

Choice Recommend(const GgufFile& file, const Pricing& pricing, const std::vector<PlanCell>& cells) {
  if (!IsUnquantised(file)) {
    const auto as_is = BestOfMix(cells, 0);
    if (as_is && (cells[*as_is].devices.size() == 1 ||
                  cells[*as_is].settings.gpu_layers == pricing.layers)) {
      return {as_is, fmt::format("the file is quantised already ({}) and fits as it is; fewer bits "
                                 "would cost quality and are not needed",
                                 cells[*as_is].type)};
    }
    // Something smaller only where it buys a placement.
    for (size_t mix = 1; mix < pricing.mixes.size(); ++mix) {
      const auto best = BestOfMix(cells, mix);
      if (best && (!as_is || cells[*best].settings.gpu_layers.value_or(0) >
                                 cells[*as_is].settings.gpu_layers.value_or(0))) {
        return {best, fmt::format("the file as it is ({}) does not fit whole; {} is the first "
                                  "smaller type that places more of it",
                                  pricing.mixes[0].label, cells[*best].type)};
      }
    }
    if (as_is) return {as_is, "no smaller type places more of the model on the GPU"};
    return {};
  }
  for (const char* label : {"Q4_K_M", "IQ4_XS", "Q3_K_M"}) {
    const auto mix = MixOf(pricing, label);
    const auto best = mix ? BestOfMix(cells, *mix) : std::nullopt;
    if (best) {
      return {best, fmt::format("{} is the usual balance of size and loss, and decoding speed "
                                "follows the bytes read per token; "
                                "the loss on this model is not known before `trimma optimize` or "
                                "`trimma measure` measures it",
                                label)};
    }
  }
  for (size_t mix = 0; mix < pricing.mixes.size(); ++mix) {
    const auto best = BestOfMix(cells, mix);
    if (best) return {best, fmt::format("{} fits", cells[*best].type)};
  }
  return {};
}

std::string WhyNothingFits(const std::vector<PlanCell>& cells, const Machine& machine) {
  uint64_t least = UINT64_MAX;
  for (const PlanCell& cell : cells) least = std::min(least, AllBytes(cell));
  return fmt::format("nothing fits: the smallest choice takes {}, {} of host memory are available",
                     FormatBytes(least), FormatBytes(machine.memory.available_bytes));
}

}  // namespace

uint64_t BytesPerToken(const GgufFile& file, const std::vector<TensorType>& types) {
  CHECK(types.size() == file.tensors.size());
  const bool tied = file.FindTensor("output.weight") == nullptr;
  const std::string arch = file.architecture();
  const auto experts = file.metadata.Integer(arch + ".expert_count").value_or(0);
  const auto used = file.metadata.Integer(arch + ".expert_used_count").value_or(experts);
  uint64_t bytes = 0;
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const TensorInfo& tensor = file.tensors[i];
    uint64_t size = RowBytes(types[i], tensor.row_length()).value_or(0) * tensor.rows();
    const bool lookup = tensor.name == "per_layer_token_embd.weight" ||
                        (tensor.name == "token_embd.weight" && !tied);
    if (lookup) size = size / tensor.rows();
    const bool expert_matrix =
        tensor.shape.size() == 3 && tensor.name.find("_exps") != std::string::npos;
    if (expert_matrix && experts > 0)
      size = size / static_cast<uint64_t>(experts) * static_cast<uint64_t>(used);
    bytes += size;
  }
  return bytes;
}

std::vector<uint32_t> UsualContexts(uint32_t trained_context) {
  std::vector<uint32_t> contexts;
  for (const uint32_t context : {2048U, 4096U, 8192U, 16384U}) {
    if (trained_context == 0 || context < trained_context) contexts.push_back(context);
  }
  if (trained_context > 0) contexts.push_back(trained_context);
  return contexts;
}

uint32_t TrainedContext(const GgufFile& file) {
  const auto context = file.metadata.Integer(file.architecture() + ".context_length");
  return context && *context > 0 && *context <= INT32_MAX ? static_cast<uint32_t>(*context) : 0;
}

Plan MakePlan(const GgufFile& file, const Machine& machine, const Pricing& pricing) {
  Plan plan;
  for (const PricedCell& priced : pricing.cells) {
    const Mix& mix = pricing.mixes[priced.mix];
    PlanCell cell;
    cell.type = mix.label;
    cell.file_bytes = mix.file_bytes;
    cell.settings = priced.settings;
    cell.devices = priced.devices;
    cell.fits = Fits(priced.devices, machine);
    cell.decode_tps = DecodeBound(file, mix, priced, machine);
    cell.mix = priced.mix;
    plan.cells.push_back(std::move(cell));
  }
  MarkPareto(plan.cells);
  const Choice choice = Recommend(file, pricing, plan.cells);
  plan.recommended = choice.index;
  plan.reason = choice.index ? choice.reason : WhyNothingFits(plan.cells, machine);
  if (!machine.memory.bandwidth_bytes_per_s) {
    plan.notes.emplace_back(
        "decode speed is not predicted: memory bandwidth was not measured (run `trimma scan "
        "--bench` once)");
  }
  for (const Mix& mix : pricing.mixes) {
    for (const std::string& note : mix.assignment.notes)
      plan.notes.push_back(fmt::format("{}: {}", mix.label, note));
  }
  return plan;
}

Json ToJson(const Plan& plan) {
  Json cells = Json::array();
  for (const PlanCell& cell : plan.cells) {
    Json devices = Json::array();
    for (const DeviceBytes& device : cell.devices) devices.push_back(ToJson(device));
    cells.push_back({{"type", cell.type},
                     {"file_bytes", cell.file_bytes},
                     {"context", cell.settings.context},
                     {"kv_k", cell.settings.kv_k},
                     {"kv_v", cell.settings.kv_v},
                     {"gpu_layers", cell.settings.gpu_layers.value_or(0)},
                     {"devices", devices},
                     {"fits", cell.fits},
                     {"decode_tps", cell.decode_tps ? Json(*cell.decode_tps) : Json()},
                     {"prefill_tps", nullptr},
                     {"mean_kld", nullptr},
                     {"pareto", cell.pareto}});
  }
  return {{"schema", "trimma.plan/1"},
          {"cells", cells},
          {"recommended", plan.recommended ? Json(*plan.recommended) : Json()},
          {"reason", plan.reason},
          {"notes", plan.notes}};
}

}  // namespace trimma
