#include "measure/speed_pool.h"

#include <algorithm>

#include "base/clock.h"
#include "engine/engine.h"

namespace trimma {

// The context that a measurement needs: enough cells, no more, so that candidates with a long
// context don't hold gigabytes while others are measured. Only filled cells cost time. Logits of
// one token a slot, as llama-server reserves them.
Context::Options SpeedPool::Shortened(const RuntimeSettings& settings) const {
  // The cache is divided among sequences in steps of so many cells.
  constexpr int kCells = 256;
  const int length = options_.depth + std::max(options_.prompt_tokens, options_.decode_tokens) + 1;
  Context::Options options;
  options.settings = settings;
  options.settings.context =
      static_cast<uint32_t>((length + kCells - 1) / kCells * kCells * settings.parallel);
  options.outputs = static_cast<uint32_t>(settings.parallel);
  return options;
}

Result<const Model*> SpeedPool::ModelFor(const SpeedSubject& subject) {
  for (const Loaded& loaded : models_) {
    if (SamePlacement(loaded.subject, subject)) return loaded.model.get();
  }
  if (options_.resident && models_.size() >= static_cast<size_t>(*options_.resident)) {
    contexts_.clear();
    models_.clear();
  }
  beat_.Alive();
  TRY(Model model, Model::Load(subject.path, Model::Options::PlacedAs(subject.settings)));
  beat_.Alive();
  models_.push_back({subject, std::make_unique<Model>(std::move(model))});
  return models_.back().model.get();
}

bool MustProveItFits(const RuntimeSettings& settings, uint32_t shortened, bool has_gpu) {
  return has_gpu && settings.use_gpu && settings.context > shortened;
}

// The whole context, once, with a physical batch computed in it (pools grow then), and given back.
// Others that lie on the card would take its room.
Status SpeedPool::ProveItFits(const Model& model, const SpeedSubject& subject, uint32_t shortened) {
  const RuntimeSettings& settings = subject.settings;
  const bool done = std::any_of(proven_.begin(), proven_.end(), [&](const SpeedSubject& other) {
    return SameContext(other, subject) && other.settings.context == settings.context;
  });
  if (done || !contexts_.empty()) return {};
  // Asking for the cards makes a context on each for this process: not where none is used.
  const bool has_gpu = settings.use_gpu && !EngineGpus().empty();
  if (!MustProveItFits(settings, shortened, has_gpu)) return {};
  beat_.Alive();
  const auto slots = static_cast<uint32_t>(settings.parallel);
  TRY(Context whole, Context::Create(model, {settings, 1, slots, {}}));
  const std::vector<Token> tokens(
      std::min({settings.ubatch, settings.batch, settings.context / slots}), 0);
  TRY_STATUS(whole.Append(tokens));
  whole.Synchronize();
  beat_.Alive();
  proven_.push_back(subject);
  return {};
}

std::vector<double> SpeedPool::LoadsBetween(const SpeedSubject& subject) const {
  std::vector<double> milliseconds;
  for (const Load& load : loads_)
    if (SamePlacement(load.subject, subject)) milliseconds.push_back(load.milliseconds);
  return milliseconds;
}

Result<Resident*> SpeedPool::Get(const SpeedSubject& subject) {
  for (Resident& resident : contexts_) {
    if (SameContext(resident.subject, subject)) return &resident;
  }
  const auto start = Clock::now();
  const bool loads = std::none_of(models_.begin(), models_.end(), [&](const Loaded& loaded) {
    return SamePlacement(loaded.subject, subject);
  });
  TRY(const Model* model, ModelFor(subject));
  if (options_.resident && contexts_.size() >= static_cast<size_t>(*options_.resident))
    contexts_.pop_front();
  const Context::Options shortened = Shortened(subject.settings);
  const size_t proven = proven_.size();
  TRY_STATUS(ProveItFits(*model, subject, shortened.settings.context));
  TRY(Context context, Context::Create(*model, shortened));
  if (loads && !read_.insert(subject.path).second && proven_.size() == proven)
    loads_.push_back({subject, MillisecondsSince(start)});
  Resident resident;
  resident.subject = subject;
  resident.model = model;
  resident.context.emplace(std::move(context));
  contexts_.push_back(std::move(resident));
  return &contexts_.back();
}

Result<std::vector<double>> SpeedPool::TimeLoads(const SpeedSubject& subject) {
  if (options_.resident && options_.load_repeats > 0) {
    contexts_.clear();
    models_.clear();
  }
  std::vector<double> milliseconds;
  // The first load brings the file into the page cache.
  if (models_.empty() && options_.load_repeats > 0) {
    TRY(const Model model, Model::Load(subject.path, Model::Options::PlacedAs(subject.settings)));
  }
  for (int i = 0; i < options_.load_repeats; ++i) {
    beat_.Alive();
    const auto start = Clock::now();
    TRY(const Model model, Model::Load(subject.path, Model::Options::PlacedAs(subject.settings)));
    const auto slots = static_cast<uint32_t>(subject.settings.parallel);
    TRY(const Context context, Context::Create(model, {subject.settings, 1, slots, {}}));
    milliseconds.push_back(MillisecondsSince(start));
  }
  return milliseconds;
}

}  // namespace trimma
