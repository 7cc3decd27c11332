// The child's side of pricing: ghosts of every mix, priced by the engine.
#include <algorithm>
#include <map>

#include "base/interrupt.h"
#include "engine/engine.h"
#include "engine/ghost.h"
#include "engine/recipe.h"
#include "gguf/soundness.h"
#include "plan/pricing.h"

namespace trimma {
namespace {

Result<std::vector<Mix>> MakeMixes(const GgufFile& file, const Model& ghost, const Json& recipes) {
  std::vector<Mix> mixes(1);
  for (const TensorInfo& tensor : file.tensors) mixes[0].assignment.types.push_back(tensor.type);
  mixes[0].file_bytes = file.file_bytes;
  for (const Json& name : recipes) {
    Mix mix;
    mix.recipe = FindFileType(name.get<std::string>());
    CHECK(mix.recipe != nullptr);
    mix.assignment = Assign(file, *mix.recipe, RecipeTypes(ghost, file, *mix.recipe));
    if (!mix.assignment.changes) continue;
    TRY(const GgufLayout layout, LayOutOutput(file, mix.assignment, *mix.recipe));
    mix.file_bytes = layout.file_bytes;
    mixes.push_back(std::move(mix));
  }
  return mixes;
}

// Prices cells of one file; ghosts are loaded once per (mix, layers on the GPU).
class Pricer {
 public:
  Pricer(const GgufFile& file, const std::vector<Mix>& mixes, uint32_t outputs, uint64_t margin)
      : file_(file), mixes_(mixes), outputs_(outputs), margin_(margin) {}

  Result<PricedCell> At(size_t mix, const RuntimeSettings& settings) {
    TRY(const Model* ghost, Ghost(mix, settings.gpu_layers));
    TRY(std::vector<DeviceBytes> devices, Price(*ghost, settings, outputs_));
    return PricedCell{mix, settings, std::move(devices)};
  }

  // The most layers on the GPUs that leave the margin free; by bisection, since a GPU's total
  // never falls with more layers. Without a GPU: 0.
  Result<PricedCell> Placed(size_t mix, RuntimeSettings settings, int layers) {
    settings.gpu_layers = has_gpu_ ? layers : 0;
    TRY(PricedCell best, At(mix, settings));
    if (!has_gpu_ || Fits(best)) return best;
    int low = 0;
    int high = layers;
    settings.gpu_layers = 0;
    TRY(best, At(mix, settings));
    while (high - low > 1) {
      settings.gpu_layers = (low + high) / 2;
      TRY(PricedCell cell, At(mix, settings));
      if (Fits(cell)) {
        low = *settings.gpu_layers;
        best = std::move(cell);
      } else {
        high = *settings.gpu_layers;
      }
    }
    return best;
  }

 private:
  bool Fits(const PricedCell& cell) const {
    return std::all_of(cell.devices.begin(), cell.devices.end() - 1, [&](const DeviceBytes& gpu) {
      return gpu.total_bytes() + margin_ <= gpu.free_bytes;
    });
  }

  Result<const Model*> Ghost(size_t mix, std::optional<int> layers) {
    const std::pair key(mix, layers);
    auto found = ghosts_.find(key);
    if (found == ghosts_.end()) {
      TRY(Model ghost, LoadGhost(file_,
                                 mixes_[mix].recipe == nullptr ? std::vector<TensorType>{}
                                                               : mixes_[mix].assignment.types,
                                 layers));
      found = ghosts_.emplace(key, std::move(ghost)).first;
    }
    return &found->second;
  }

  const GgufFile& file_;
  const std::vector<Mix>& mixes_;
  uint32_t outputs_;
  uint64_t margin_;
  bool has_gpu_ = !EngineGpus().empty();
  std::map<std::pair<size_t, std::optional<int>>, Model> ghosts_;
};

// The cell of another mix with the same placement: only the weights differ.
PricedCell WithWeightsOf(const PricedCell& weights, const PricedCell& rest) {
  PricedCell cell = rest;
  cell.mix = weights.mix;
  for (size_t d = 0; d < cell.devices.size(); ++d)
    cell.devices[d].weights_bytes = weights.devices[d].weights_bytes;
  return cell;
}

Json DevicesToJson(const std::vector<DeviceBytes>& devices) {
  Json list = Json::array();
  for (const DeviceBytes& device : devices) list.push_back(ToJson(device));
  return list;
}

Json CellToJson(const PricedCell& cell) {
  return {{"mix", cell.mix},
          {"settings", ToJson(cell.settings)},
          {"devices", DevicesToJson(cell.devices)}};
}

Json MixToJson(const Mix& mix) {
  Json types = Json::array();
  for (const TensorType type : mix.assignment.types) types.push_back(static_cast<uint32_t>(type));
  return {{"recipe", mix.recipe == nullptr ? Json() : Json(mix.recipe->name)},
          {"types", types},
          {"notes", mix.assignment.notes},
          {"file_bytes", mix.file_bytes}};
}

}  // namespace

Result<Json> PricingJob(const Json& request, const Emit&) {
  TRY(const GgufFile file, ReadGguf(request.at("source").get<std::string>()));
  TRY_STATUS(CheckModel(file));
  TRY(const Model ghost, LoadGhost(file, {}, std::nullopt));
  TRY(const std::vector<Mix> mixes, MakeMixes(file, ghost, request.at("recipes")));
  const int layers = ghost.layers();
  Pricer pricer(file, mixes, request.at("bench_outputs").get<bool>() ? 0 : 1,
                request.at("gpu_margin_bytes"));

  std::vector<RuntimeSettings> grid;
  for (const Json& context : request.at("contexts")) {
    for (const Json& kv : request.at("kv_types")) {
      RuntimeSettings settings;
      settings.context = context;
      settings.kv_k = settings.kv_v = kv;
      grid.push_back(settings);
    }
  }
  Json cells = Json::array();
  std::vector<PricedCell> first_mix;
  for (size_t mix = 0; mix < mixes.size(); ++mix) {
    std::optional<PricedCell> weights;
    for (size_t i = 0; i < grid.size(); ++i) {
      TRY_STATUS(CheckInterrupted());
      std::optional<PricedCell> cell;
      if (mix > 0 && weights && weights->settings.gpu_layers == first_mix[i].settings.gpu_layers) {
        cell = WithWeightsOf(*weights, first_mix[i]);
      } else {
        TRY(cell, pricer.Placed(mix, grid[i], layers));
        const bool whole = *cell->settings.gpu_layers == 0 || *cell->settings.gpu_layers == layers;
        if (whole) weights = cell;
      }
      cells.push_back(CellToJson(*cell));
      if (mix == 0) first_mix.push_back(*std::move(cell));
    }
  }
  Json mixes_json = Json::array();
  for (const Mix& mix : mixes) mixes_json.push_back(MixToJson(mix));
  return Json{{"layers", layers}, {"mixes", mixes_json}, {"cells", cells}};
}

Result<Json> PriceJob(const Json& request, const Emit&) {
  TRY(const GgufFile file, ReadGguf(request.at("source").get<std::string>()));
  TRY_STATUS(CheckModel(file));
  TRY(const RuntimeSettings settings, RuntimeSettingsFromJson(request.at("settings")));
  TRY(const Model ghost, LoadGhost(file, {}, settings.gpu_layers));
  TRY(const std::vector<DeviceBytes> devices, Price(ghost, settings, 1));
  return Json{{"devices", DevicesToJson(devices)}};
}

Result<Json> RecipesJob(const Json& request, const Emit&) {
  TRY(const GgufFile file, ReadGguf(request.at("source").get<std::string>()));
  TRY_STATUS(CheckModel(file));
  TRY(const Model ghost, LoadGhost(file, {}, std::nullopt));
  Json answers = Json::array();
  for (const Json& name : request.at("recipes")) {
    const FileType* recipe = FindFileType(name.get<std::string>());
    CHECK(recipe != nullptr);
    Json types = Json::array();
    for (const TensorType type : RecipeTypes(ghost, file, *recipe))
      types.push_back(static_cast<uint32_t>(type));
    answers.push_back(std::move(types));
  }
  return Json{{"types", answers}};
}

}  // namespace trimma
