#include "quantize/fitted_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "gguf/soundness.h"
#include "hardware/cards.h"
#include "plan/pricer.h"

namespace trimma {
namespace {

// A sum and the product that is added to it, of the widest input; nothing where that would take
// more than this share of a card from the layers.
constexpr uint64_t kSumsShare = 4;

uint64_t RoomForSums(const GgufFile& file, const Gpu& gpu) {
  const uint64_t widest = WidestRow(file);
  const uint64_t bytes = 2 * widest * widest * sizeof(float);
  return bytes <= gpu.free_bytes / kSumsShare ? bytes : 0;
}

Result<PricedCell> Placed(const GgufFile& file, const RuntimeSettings& settings,
                          const std::vector<Gpu>& gpus) {
  PricingTarget target;
  target.bench_outputs = true;
  for (const Gpu& gpu : gpus) {
    const auto card = FindCard(gpu.name);
    target.overheads.push_back(EstimatedOverhead(card.ok() ? ContextStackBytes(*card) : 0));
    target.overheads.back().margin_bytes += RoomForSums(file, gpu);
  }
  const std::vector<Mix> as_is;
  Pricer pricer(file, as_is, target);
  TRY_STATUS(pricer.Start(settings));
  TRY(PricedCell whole, pricer.At(0, pricer.placements().At(0, settings)));
  if (Pricer::Fits(whole)) return whole;
  return pricer.Place(0, settings, pricer.GuessPlace(whole));
}

}  // namespace

Result<FittedModel> LoadFitted(const std::string& path, Model::Options options,
                               const RuntimeSettings& settings) {
  TRY(const GgufFile file, ReadGguf(path));
  TRY_STATUS(CheckModel(file));
  TRY_STATUS(StartEngine());
  const std::vector<Gpu> gpus = EngineGpus();
  if (gpus.empty()) {
    TRY(Model model, Model::Load(file, options));
    return FittedModel{std::move(model), ""};
  }
  TRY(const PricedCell cell, Placed(file, settings, gpus));
  options.gpu_layers = cell.settings.gpu_layers;
  options.host_tensors = cell.settings.host_tensors;
  auto model = Model::Load(file, options);
  if (!model.ok() && options.gpu_layers.value_or(0) > 0) {
    options.gpu_layers = 0;
    options.host_tensors.clear();
    model = Model::Load(file, options);
  }
  if (!model.ok()) return model.error();
  std::string note;
  const int layers = model->layers();
  if (options.gpu_layers.value_or(layers) < layers) {
    note = fmt::format("{} of the model's {} layers fit on the GPU", *options.gpu_layers, layers);
  } else if (!options.host_tensors.empty()) {
    note = "the experts of some layers don't fit on the GPU";
  }
  return FittedModel{std::move(model).value(), std::move(note)};
}

}  // namespace trimma
