// The child's side of pricing: which cells are asked of the engine, and which are put together.
#include <algorithm>
#include <atomic>
#include <thread>

#include "base/interrupt.h"
#include "engine/engine.h"
#include "engine/recipe.h"
#include "gguf/soundness.h"
#include "plan/pricer.h"
#include "plan/pricing_json.h"

namespace trimma {
namespace {

Result<std::vector<Mix>> MakeMixes(const GgufFile& file, const Json& recipes) {
  std::vector<Mix> mixes(1);
  for (const TensorInfo& tensor : file.tensors) mixes[0].assignment.types.push_back(tensor.type);
  if (recipes.empty()) return mixes;
  TRY(const Model ghost, LoadGhost(file, {}, {.gpu_layers = 0}));
  for (const Json& name : recipes) {
    Mix mix;
    mix.recipe = FindFileType(name.get<std::string>());
    CHECK(mix.recipe != nullptr);
    mix.assignment = Assign(file, *mix.recipe, RecipeTypes(ghost, file, *mix.recipe));
    if (!mix.assignment.changes) continue;
    mixes.push_back(std::move(mix));
  }
  return mixes;
}

// Runs work(0 .. n-1) on the processors; the first error ends it.
Status InParallel(size_t n, const std::function<Status(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    for (size_t i = next++; i < n; i = next++) {
      Status status = CheckInterrupted();
      if (status.ok()) status = work(i);
      if (status.ok()) continue;
      next = n;
      const std::lock_guard<std::mutex> lock(mutex);
      if (first.ok()) first = status;
    }
  };
  const size_t threads =
      std::clamp<size_t>(static_cast<size_t>(DefaultThreads()), 1, std::min<size_t>(n, 8));
  std::vector<std::jthread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(run);
  run();
  others.clear();
  return first;
}

// The cell of another mix with the same placement: only the weights differ.
PricedCell WithWeightsOf(const PricedCell& weights, const PricedCell& rest) {
  PricedCell cell = rest;
  cell.mix = weights.mix;
  for (size_t d = 0; d < cell.devices.size(); ++d)
    cell.devices[d].weights_bytes = weights.devices[d].weights_bytes;
  return cell;
}

bool SameBytes(const PricedCell& a, const PricedCell& b) {
  return std::equal(a.devices.begin(), a.devices.end(), b.devices.begin(), b.devices.end(),
                    [](const DeviceBytes& x, const DeviceBytes& y) {
                      return x.weights_bytes == y.weights_bytes && x.kv_bytes == y.kv_bytes &&
                             x.compute_bytes == y.compute_bytes;
                    });
}

constexpr size_t kCheckEvery = 20;

// The grid of one request, cell by cell.
class Grid {
 public:
  // `settings`: context by context, each with every one of `caches` KV types.
  Grid(Pricer& pricer, size_t mixes, size_t caches, std::vector<RuntimeSettings> settings)
      : pricer_(pricer), mixes_(mixes), caches_(caches), settings_(std::move(settings)) {}

  // The settings' own placement: every cell by itself.
  Status AsAsked() {
    cells_.resize(mixes_ * settings_.size());
    return InParallel(cells_.size(), [&](size_t i) -> Status {
      TRY(cells_[i], pricer_.At(i / settings_.size(), settings_[i % settings_.size()]));
      return {};
    });
  }

  Status Placed() {
    if (settings_.empty()) return {};
    const bool on_gpus = pricer_.has_gpu() && settings_.front().use_gpu;
    for (RuntimeSettings& s : settings_)
      s = pricer_.placements().At(on_gpus ? 0 : pricer_.placements().size() - 1, s);
    TRY_STATUS(PriceWhole());
    TRY_STATUS(Check());
    return on_gpus ? PlaceTheRest() : Status();
  }

  const std::vector<PricedCell>& cells() const { return cells_; }
  size_t composed() const { return composed_; }
  size_t checked() const { return checked_; }

 private:
  // All layers on one side: mix 0 at every setting, every mix at the first setting.
  Status PriceWhole() {
    const size_t n = settings_.size();
    std::vector<PricedCell> rest(n);
    std::vector<PricedCell> weights(mixes_);
    TRY_STATUS(InParallel(n + mixes_ - 1, [&](size_t i) -> Status {
      if (i < n) {
        TRY(rest[i], pricer_.At(0, settings_[i]));
      } else {
        TRY(weights[i - n + 1], pricer_.At(i - n + 1, settings_[0]));
      }
      return {};
    }));
    weights[0] = rest[0];
    for (size_t mix = 0; mix < mixes_; ++mix) {
      for (size_t i = 0; i < n; ++i) cells_.push_back(WithWeightsOf(weights[mix], rest[i]));
    }
    composed_ = (mixes_ - 1) * (n - 1);
    return {};
  }

  // Some of the composed cells against the engine's own price of the whole.
  Status Check() {
    const size_t n = settings_.size();
    std::vector<size_t> composed;
    for (size_t c = n; c < cells_.size(); ++c) {
      if (c % n != 0) composed.push_back(c);
    }
    if (composed.empty()) return {};
    std::vector<size_t> some;
    for (size_t i = 0; i < composed.size(); i += kCheckEvery) some.push_back(composed[i]);
    std::atomic<bool> differs = false;
    const auto check = [&](size_t c) -> Status {
      TRY(const PricedCell whole, pricer_.At(c / n, settings_[c % n]));
      if (!SameBytes(whole, cells_[c])) differs = true;
      cells_[c] = whole;
      return {};
    };
    TRY_STATUS(InParallel(some.size(), [&](size_t i) { return check(some[i]); }));
    checked_ = some.size();
    if (!differs) return {};
    composed_ = checked_ = 0;
    return InParallel(composed.size(), [&](size_t i) { return check(composed[i]); });
  }

  // Cells that don't fit whole. Contexts of one mix and cache after each other: the one before
  // gives the guess.
  Status PlaceTheRest() {
    const size_t n = settings_.size();
    return InParallel(mixes_ * caches_, [&](size_t task) -> Status {
      const size_t mix = task / caches_;
      std::optional<size_t> guess;
      for (size_t i = task % caches_; i < n; i += caches_) {
        PricedCell& cell = cells_[mix * n + i];
        if (Pricer::Fits(cell)) continue;
        RuntimeSettings bare = settings_[i];
        bare.host_tensors.clear();
        TRY_STATUS(CheckInterrupted());
        TRY(cell, pricer_.Place(mix, bare, guess.value_or(pricer_.GuessPlace(cell))));
        guess = pricer_.PlaceOf(cell.settings);
      }
      return {};
    });
  }

  Pricer& pricer_;
  size_t mixes_;
  size_t caches_;
  std::vector<RuntimeSettings> settings_;
  std::vector<PricedCell> cells_;
  size_t composed_ = 0;
  size_t checked_ = 0;
};

// A request's cells, as they are found.
struct PricingAnswer {
  std::vector<PricedCell> cells;
  size_t composed = 0;
  size_t checked = 0;

  void Take(const Grid& grid) {
    composed += grid.composed();
    checked += grid.checked();
  }
};

// The choices with the GPUs left out, after those of `on_gpus` (mix by mix, all settings each).
Status AddWithoutGpu(Pricer& pricer, size_t mixes, std::vector<RuntimeSettings> settings,
                     bool always, PricingAnswer& answer) {
  const size_t n = settings.size();
  const auto wanted = [&](size_t mix, size_t i) {
    return always || !Pricer::Fits(answer.cells[mix * n + i]);
  };
  std::vector<size_t> places;  // of the settings that some mix wants
  std::vector<RuntimeSettings> without;
  for (size_t i = 0; i < n; ++i) {
    bool any = false;
    for (size_t mix = 0; mix < mixes && !any; ++mix) any = wanted(mix, i);
    if (!any) continue;
    places.push_back(i);
    without.push_back(settings[i]);
    without.back().use_gpu = false;
  }
  if (places.empty()) return {};
  TRY_STATUS(pricer.LeaveGpusOut());
  Grid grid(pricer, mixes, 1, std::move(without));
  TRY_STATUS(grid.Placed());
  for (size_t mix = 0; mix < mixes; ++mix) {
    for (size_t k = 0; k < places.size(); ++k) {
      if (wanted(mix, places[k])) answer.cells.push_back(grid.cells()[mix * places.size() + k]);
    }
  }
  answer.Take(grid);
  return {};
}

Result<GgufFile> Source(const Json& request) {
  TRY_STATUS(StartEngine());
  TRY(GgufFile file, GhostFromJson(request.at("ghost")));
  TRY_STATUS(CheckModel(file));
  return file;
}

}  // namespace

Result<Json> PricingJob(const Json& request, const Emit&) {
  TRY(const GgufFile file, Source(request));
  TRY(const std::vector<Mix> mixes, MakeMixes(file, request.at("recipes")));
  TRY(const PricingTarget target, PricingTargetFromJson(request.at("target")));
  TRY(const RuntimeSettings base, RuntimeSettingsFromJson(request.at("base")));
  Pricer pricer(file, mixes, target);
  TRY_STATUS(pricer.Start(base));
  const bool as_asked = base.gpu_layers || !base.host_tensors.empty();
  std::vector<RuntimeSettings> settings;
  for (const Json& context : request.at("contexts")) {
    for (const Json& kv : request.at("kv")) {
      settings.push_back(base);
      settings.back().context = context;
      settings.back().kv_k = kv.at(0);
      settings.back().kv_v = kv.at(1);
      // Where no number was asked for, all layers: a plan says how many that is.
      if (as_asked && pricer.has_gpu() && base.use_gpu && !base.gpu_layers)
        settings.back().gpu_layers = pricer.layers();
    }
  }
  Grid grid(pricer, mixes.size(), request.at("kv").size(), settings);
  TRY_STATUS(as_asked ? grid.AsAsked() : grid.Placed());
  PricingAnswer answer;
  answer.cells = grid.cells();
  answer.Take(grid);
  if (!as_asked && pricer.has_gpu() && base.use_gpu) {
    TRY_STATUS(
        AddWithoutGpu(pricer, mixes.size(), settings, request.at("always_without_gpu"), answer));
  }
  Json cells = Json::array();
  for (const PricedCell& cell : answer.cells) cells.push_back(ToJson(cell));
  Json mixes_json = Json::array();
  for (const Mix& mix : mixes) mixes_json.push_back(ToJson(mix));
  return Json{{"layers", pricer.layers()},
              {"mixes", mixes_json},
              {"cells", cells},
              {"composed", answer.composed},
              {"checked", answer.checked}};
}

Result<Json> PriceJob(const Json& request, const Emit&) {
  TRY(const GgufFile file, Source(request));
  TRY(const RuntimeSettings settings, RuntimeSettingsFromJson(request.at("settings")));
  TRY(const PricingTarget target, PricingTargetFromJson(request.at("target")));
  std::vector<Mix> mix(1);
  for (const Json& type : request.at("types"))
    mix[0].assignment.types.push_back(TensorType{type.get<uint32_t>()});
  CHECK(mix[0].assignment.types.empty() || mix[0].assignment.types.size() == file.tensors.size());
  Pricer pricer(file, mix, target);
  TRY_STATUS(pricer.Start(settings));
  TRY(const PricedCell cell, pricer.At(0, settings));
  return Json{{"devices", ToJson(cell).at("devices")}};
}

Result<Json> RecipesJob(const Json& request, const Emit&) {
  TRY(const GgufFile file, Source(request));
  TRY(const Model ghost, LoadGhost(file, {}, {.gpu_layers = 0}));
  std::map<size_t, TensorType> forced;
  for (const Json& item : request.at("forced")) {
    const size_t i = item.at(0);
    CHECK(i < file.tensors.size());
    forced[i] = TensorType{item.at(1).get<uint32_t>()};
  }
  Json answers = Json::array();
  for (const Json& name : request.at("recipes")) {
    const FileType* recipe = FindFileType(name.get<std::string>());
    CHECK(recipe != nullptr);
    Json types = Json::array();
    for (const TensorType type : RecipeTypes(ghost, file, *recipe, forced))
      types.push_back(static_cast<uint32_t>(type));
    answers.push_back(std::move(types));
  }
  return Json{{"types", answers}};
}

}  // namespace trimma
