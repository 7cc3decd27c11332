#include "cli/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "cli/machine.h"
#include "plan/kv.h"
#include "plan/plan.h"

namespace trimma {
namespace {

std::string Names(const PlanTarget& target) {
  std::string names;
  for (const Gpu& gpu : target.machine.gpus)
    names += fmt::format("{}{}", names.empty() ? "" : " and ", SafeText(gpu.name));
  return names.empty() ? "the host" : names;
}

}  // namespace

Result<Fit> Fit::Create(const OpenedModel& model, const FitOptions& options) {
  Fit fit;
  fit.source_ = model.file;
  const uint32_t trained = TrainedContext(model.file);
  if (options.context) {
    TRY_STATUS(CheckContexts({*options.context}, model.file));
    fit.settings_.context = *options.context;
  } else if (trained > 0) {
    fit.settings_.context = std::min(fit.settings_.context, trained);
  }
  TRY(fit.settings_.kv_k, ParseKvType(options.kv));
  fit.settings_.kv_v = fit.settings_.kv_k;
  if (!KvTypeFitsHeads(model.file, *TensorTypeByName(fit.settings_.kv_k))) {
    return Error{Code::kUsage,
                 fmt::format("a KV cache of {} is not possible: its block does not divide this "
                             "model's head size",
                             fit.settings_.kv_k),
                 "choose f16"};
  }
  const MachineScan scan = ScanMachine();
  TRY(fit.target_, ChooseTarget(scan.machine, options.target));
  TRY(fit.target_.pricing.projector, OpenProjector(model, options.projector));
  if (fit.target_.machine.gpus.empty()) fit.settings_.gpu_layers = 0;
  return fit;
}

Result<Fit::Taken> Fit::PriceTypes(const GgufFile& file, const std::vector<TensorType>& types,
                                   const RuntimeSettings& settings) const {
  Taken taken;
  TRY(taken.devices, PriceSettings(file, settings, target_.pricing, types));
  taken.room_bytes = RoomOf(taken.devices, target_.machine);
  return taken;
}

Result<Fit::Taken> Fit::Price(const GgufFile& file) const {
  return PriceTypes(file, {}, settings_);
}

Result<Fit::Taken> Fit::PriceMix(const std::vector<TensorType>& types) const {
  return PriceTypes(source_, types, settings_);
}

FitTarget Fit::Target() const {
  FitTarget target;
  target.room = [this](const Assignment& mix) -> Result<int64_t> {
    TRY(const Taken taken, PriceMix(mix.types));
    return taken.room_bytes;
  };
  target.refusal = [this](const Assignment& smallest, int64_t room) {
    return Refusal(smallest, room);
  };
  return target;
}

// With the nearest that would: a shorter context, else a smaller cache.
Error Fit::Refusal(const Assignment& smallest, int64_t room) const {
  Error error{
      Code::kNoFit,
      fmt::format("even with the fewest bits the model doesn't fit wholly on {} at a "
                  "context of {}: {} are missing",
                  Names(target_), settings_.context, FormatBytes(static_cast<uint64_t>(-room))),
      "choose a larger card (--gpu), or let `trimma plan` place some layers on the host"};
  std::vector<uint32_t> contexts = UsualContexts(TrainedContext(source_));
  std::sort(contexts.rbegin(), contexts.rend());
  const auto fits = [&](const RuntimeSettings& settings) {
    const auto taken = PriceTypes(source_, smallest.types, settings);
    return taken.ok() && taken->room_bytes >= 0;
  };
  RuntimeSettings settings = settings_;
  for (const uint32_t context : contexts) {
    if (context >= settings_.context) continue;
    settings.context = context;
    if (!fits(settings)) continue;
    error.hint = fmt::format("at a context of {} it does (--context {})", context, context);
    return error;
  }
  settings = settings_;
  settings.kv_k = settings.kv_v = "q8_0";
  if (KvTypeFitsHeads(source_, tensor_type::kQ8_0) && fits(settings))
    error.hint = "with its cache in q8_0 it does (--kv q8_0)";
  return error;
}

std::string Fit::Describe(const Taken& taken) const {
  std::string text;
  for (size_t i = 0; i < taken.devices.size(); ++i) {
    const DeviceBytes& device = taken.devices[i];
    const bool host = i + 1 == taken.devices.size();
    const uint64_t free = host ? target_.machine.memory.available_bytes : device.free_bytes;
    const uint64_t kept = host ? kHostReserveBytes : device.reserve_bytes;
    text += fmt::format("{}{} of {} free on {} ({} kept free)", text.empty() ? "" : ", ",
                        FormatBytes(device.total_bytes()), FormatBytes(free), SafeText(device.name),
                        FormatBytes(kept));
  }
  return fmt::format("{} at a context of {} with a cache of {}: {}",
                     taken.room_bytes >= 0 ? "runs wholly on " + Names(target_)
                                           : "no longer fits " + Names(target_),
                     settings_.context, settings_.kv_k, text);
}

Json Fit::ToJson(const Taken& taken) const {
  Json devices = Json::array();
  for (const DeviceBytes& device : taken.devices) devices.push_back(trimma::ToJson(device));
  return {
      {"context", settings_.context},  {"kv_k", settings_.kv_k}, {"kv_v", settings_.kv_v},
      {"imagined", target_.imagined},  {"devices", devices},     {"room_bytes", taken.room_bytes},
      {"fits", taken.room_bytes >= 0}, {"notes", target_.notes}};
}

}  // namespace trimma
