#include "cli/card_placing.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/planning.h"

namespace trimma {
namespace {

bool UsesCards(const RuntimeSettings& settings, const Site& site) {
  return settings.use_gpu && settings.gpu_layers != 0 && !site.target.machine.gpus.empty();
}

void Add(const std::vector<DeviceBytes>& more, std::vector<DeviceBytes>& all) {
  if (all.empty()) {
    all = more;
    return;
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].weights_bytes += more[i].weights_bytes;
    all[i].kv_bytes += more[i].kv_bytes;
    all[i].compute_bytes += more[i].compute_bytes;
  }
}

Result<bool> FitTogether(const std::vector<SpeedSubject>& subjects, const Site& site) {
  std::vector<DeviceBytes> all;
  for (const SpeedSubject& subject : subjects) {
    TRY(const GgufFile file, ReadGguf(subject.path));
    TRY(const auto devices, PriceSettings(file, subject.settings, site.target.pricing));
    Add(devices, all);
  }
  return FitOnGpus(all);
}

}  // namespace

Result<Site> SiteOf(MachineScan scan) {
  Site site{std::move(scan), {}};
  TRY(site.target, ChooseTarget(site.scan.machine, {}));
  return site;
}

Result<CardPlacing> PlaceOnCards(const GgufFile& file, const Site& site,
                                 const RuntimeSettings& settings) {
  CardPlacing placing;
  placing.settings = settings;
  if (!UsesCards(settings, site) || settings.gpu_layers) return placing;
  PlanOptions plan;
  plan.contexts = {settings.context};
  plan.types = {"as-is"};
  plan.kv = {fmt::format("{}/{}", settings.kv_k, settings.kv_v)};
  plan.base = settings;
  TRY(const Planned planned, MakePlanFor(file, site.scan, site.target, plan));
  if (planned.plan.refusal) return *planned.plan.refusal;
  const PlanCell& cell = planned.plan.cells[*planned.plan.recommended];
  placing.settings.use_gpu = cell.settings.use_gpu;
  placing.settings.host_tensors = cell.settings.host_tensors;
  if (!cell.settings.use_gpu) {
    placing.note = "left to the processor, as the plan advises";
    return placing;
  }
  placing.settings.gpu_layers = cell.settings.gpu_layers;
  placing.whole = cell.whole;
  if (!placing.whole) {
    placing.note = fmt::format("the graphics cards hold {} of {} layers{}",
                               cell.settings.gpu_layers.value_or(0), planned.pricing.layers,
                               cell.settings.host_tensors.empty() ? "" : ", but for some matrices");
  }
  TRY(placing.other,
      PlacementsBeside(file, placing.settings, planned.pricing.layers, site.target.pricing));
  return placing;
}

CardPlacing PlacedForMeasuring(const GgufFile& file, const Site& site,
                               const RuntimeSettings& settings) {
  auto placing = PlaceOnCards(file, site, settings);
  if (placing.ok()) return *std::move(placing);
  CardPlacing on_host;
  on_host.settings = settings;
  on_host.settings.use_gpu = false;
  on_host.note = fmt::format("left to the processor: {}", placing.error().what);
  return on_host;
}

std::optional<int> ResidentModels(const std::vector<SpeedSubject>& subjects, const Site& site) {
  if (std::none_of(subjects.begin(), subjects.end(), [&](const SpeedSubject& subject) {
        return UsesCards(subject.settings, site);
      })) {
    return std::nullopt;
  }
  const auto fit = FitTogether(subjects, site);
  return fit.ok() && *fit ? std::nullopt : std::optional<int>(1);
}

}  // namespace trimma
