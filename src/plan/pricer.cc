#include "plan/pricer.h"

#include <algorithm>

#include "engine/engine.h"

namespace trimma {

Pricer::Pricer(const GgufFile& file, const std::vector<Mix>& mixes, const PricingTarget& target)
    : file_(file), mixes_(mixes), target_(target), widest_row_(WidestRow(file)) {
  if (target.cards) devices_ = PhantomDevices(*target.cards);
  has_gpu_ = target.cards ? !target.cards->empty() : !EngineGpus().empty();
}

Status Pricer::Start(const RuntimeSettings& base) {
  auto first = std::make_unique<Ghost>();
  TRY(const Model* ghost, Load(*first, 0, base));
  layers_ = ghost->layers();
  ghosts_[KeyOf(0, base)] = std::move(first);
  placements_ = std::make_unique<Placements>(file_, layers_);
  flash_attention_ = base.flash_attention;
  if (!base.use_gpu) return LeaveGpusOut();
  gpus_ = DevicesOf(*ghost);
  gpus_.pop_back();
  if (target_.projector) {
    TRY(projector_, PriceProjector(*target_.projector, {devices_, flash_attention_}));
  }
  return {};
}

Status Pricer::LeaveGpusOut() {
  if (!target_.projector) return {};
  const ProjectorPlace host{std::vector<ggml_backend_device*>{}, flash_attention_};
  TRY(host_projector_, PriceProjector(*target_.projector, host));
  return {};
}

// The engine takes "no number" for all layers, more than all for all, and any number for none where
// there is no GPU. How many all are is known from the first ghost on.
Pricer::Key Pricer::KeyOf(size_t mix, const RuntimeSettings& settings) const {
  const bool on_gpus = has_gpu_ && settings.use_gpu;
  std::optional<int> layers = settings.gpu_layers;
  if (!on_gpus) {
    layers = 0;
  } else if (layers_ > 0) {
    layers = std::min(layers.value_or(layers_), layers_);
  }
  return {mix, on_gpus, layers, settings.host_tensors};
}

Result<const Model*> Pricer::Load(size_t mix, const RuntimeSettings& settings) {
  Ghost* ghost = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Ghost>& entry = ghosts_[KeyOf(mix, settings)];
    if (!entry) entry = std::make_unique<Ghost>();
    ghost = entry.get();
  }
  return Load(*ghost, mix, settings);
}

Result<const Model*> Pricer::Load(Ghost& ghost, size_t mix, const RuntimeSettings& settings) {
  std::call_once(ghost.once, [&] {
    Model::Options options = Model::Options::PlacedAs(settings);
    if (settings.use_gpu) options.devices = devices_;
    ghost.model = LoadGhost(file_, mixes_[mix].assignment.types, options);
  });
  if (!ghost.model->ok()) return ghost.model->error();
  return &ghost.model->value();
}

Result<PricedCell> Pricer::At(size_t mix, const RuntimeSettings& settings) {
  TRY(const Model* ghost, Load(mix, settings));
  const auto slots = static_cast<uint32_t>(settings.parallel);
  TRY(std::vector<DeviceBytes> devices, Price(*ghost, settings, target_.bench_outputs ? 0 : slots));
  // GPUs that are left out are listed too, with nothing on them: devices are alike in all cells.
  if (!settings.use_gpu) devices.insert(devices.begin(), gpus_.begin(), gpus_.end());
  const ProjectorBytes& projector = settings.use_gpu ? projector_ : host_projector_;
  devices.front().projector_bytes += projector.gpu_bytes;
  devices.back().projector_bytes += projector.host_bytes;
  for (size_t i = 0; i + 1 < devices.size() && !target_.overheads.empty(); ++i) {
    const Overhead& overhead = target_.overheads[std::min(i, target_.overheads.size() - 1)];
    const bool split =
        !settings.host_tensors.empty() || settings.gpu_layers.value_or(layers_) < layers_;
    if (settings.use_gpu)
      devices[i].reserve_bytes = ReserveBytes(overhead, {settings.ubatch, widest_row_, split});
    // This process has a context on a real card, which the load's own will take the place of.
    if (!target_.cards) devices[i].free_bytes += overhead.context_bytes;
  }
  return PricedCell{mix, settings, std::move(devices)};
}

bool Pricer::Fits(const PricedCell& cell) { return FitOnGpus(cell.devices); }

size_t Pricer::GuessPlace(const PricedCell& whole) const {
  uint64_t movable = 0;
  uint64_t missing = 0;
  for (size_t i = 0; i + 1 < whole.devices.size(); ++i) {
    const DeviceBytes& gpu = whole.devices[i];
    const uint64_t needed = gpu.total_bytes() + gpu.reserve_bytes;
    movable += gpu.weights_bytes + gpu.kv_bytes;
    missing += needed > gpu.free_bytes ? needed - gpu.free_bytes : 0;
  }
  const uint64_t share = movable / std::max<size_t>(placements_->size() - 1, 1);
  return share > 0 ? static_cast<size_t>(missing / share) + 1 : 1;
}

size_t Pricer::PlaceOf(const RuntimeSettings& settings) const {
  RuntimeSettings bare = settings;
  bare.host_tensors.clear();
  for (size_t place = 0; place < placements_->size(); ++place) {
    const RuntimeSettings at = placements_->At(place, bare);
    if (at.gpu_layers == settings.gpu_layers && at.host_tensors == settings.host_tensors)
      return place;
  }
  return 0;
}

// A GPU's total grows with what lies on it, so the first place that fits is found from any guess:
// steps that double until one place fits and another doesn't, then halves in between.
Result<PricedCell> Pricer::Place(size_t mix, const RuntimeSettings& settings, size_t guess) {
  const size_t last = placements_->size() - 1;
  size_t low = 0;  // doesn't fit
  size_t high = last;
  bool low_is_priced = false;
  std::optional<PricedCell> best;  // of place `high`
  size_t at = std::clamp<size_t>(guess, 1, last);
  for (size_t step = 1;; step *= 2) {
    TRY(PricedCell cell, At(mix, placements_->At(at, settings)));
    if (at == last || Fits(cell)) {
      high = at;
      best = std::move(cell);
    } else {
      low = at;
      low_is_priced = true;
    }
    if (best && high - low <= 1) return *std::move(best);
    if (!best) {
      at = std::min(low + step, last);
    } else if (low_is_priced) {
      at = low + (high - low) / 2;
    } else {
      at = high > low + step ? high - step : low + 1;
    }
  }
}

}  // namespace trimma
