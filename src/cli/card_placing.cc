#include "cli/card_placing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/interrupt.h"
#include "cli/planning.h"
#include "plan/plan.h"

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
  CHECK(all.size() == more.size());
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].weights_bytes += more[i].weights_bytes;
    all[i].kv_bytes += more[i].kv_bytes;
    all[i].compute_bytes += more[i].compute_bytes;
    all[i].reserve_bytes = std::max(all[i].reserve_bytes, more[i].reserve_bytes);
  }
}

Result<bool> FitTogether(const std::vector<SpeedSubject>& subjects, const Site& site) {
  std::vector<DeviceBytes> all;
  for (const SpeedSubject& subject : subjects) {
    if (!UsesCards(subject.settings, site)) continue;
    TRY(const GgufFile file, ReadGguf(subject.path));
    TRY(const auto devices, PriceSettings(file, subject.settings, site.target.pricing));
    Add(devices, all);
  }
  return all.empty() || FitOnGpus(all);
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

Result<CardPlacing> PlacedForMeasuring(const GgufFile& file, const Site& site,
                                       const RuntimeSettings& settings) {
  RuntimeSettings planned = settings;
  const uint32_t trained = TrainedContext(file);
  if (trained > 0) planned.context = std::min(planned.context, trained);
  auto placing = PlaceOnCards(file, site, planned);
  if (!placing.ok()) {
    if (IsInterrupt(placing.error())) return placing.error();
    CardPlacing as_is;
    as_is.settings = planned;
    const bool no_room = placing.error().code == Code::kNoFit;
    if (no_room) as_is.settings.use_gpu = false;
    as_is.note = fmt::format("{}: {}", no_room ? "left to the processor" : "not placed by a plan",
                             placing.error().what);
    placing = std::move(as_is);
  }
  placing->settings.context = settings.context;
  return placing;
}

void LoadAsCardsHold(const std::vector<SpeedSubject>& subjects, const Site& site,
                     SpeedOptions& options) {
  const auto fit = FitTogether(subjects, site);
  if (fit.ok() && *fit) return;
  options.resident = 1;
  options.load_repeats = 0;
}

}  // namespace trimma
