#include "quantize/fast_types.h"

#include <algorithm>

#include "plan/pricing.h"

namespace trimma {
namespace {

uint64_t FileBytes(const GgufFile& source, const std::vector<TensorType>& types,
                   uint64_t header_bytes) {
  uint64_t bytes = header_bytes;
  for (size_t i = 0; i < types.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    const uint64_t of_tensor = *RowBytes(types[i], tensor.row_length()) * tensor.rows();
    bytes += (of_tensor + source.alignment - 1) / source.alignment * source.alignment;
  }
  return bytes;
}

}  // namespace

Result<FastTypes> FastTypes::Create(const SpeedWish& wish, const GgufFile& source,
                                    uint64_t header_bytes) {
  FastTypes fast(source, header_bytes);
  std::vector<const FileType*> recipes;
  for (const FileType& recipe : FileTypes()) {
    // Baselines are what people download: recipes that anybody can make of this source.
    const bool usual = InfoOf(recipe.base).quantized && !recipe.needs_importance;
    if (wish.baseline == nullptr ? usual : wish.baseline == &recipe) recipes.push_back(&recipe);
  }
  TRY(const auto types, AskRecipes(source, recipes));
  for (size_t r = 0; r < recipes.size(); ++r) {
    Baseline baseline;
    baseline.recipe = recipes[r];
    baseline.types = Assign(source, *recipes[r], types[r]).types;
    baseline.file_bytes = FileBytes(source, baseline.types, header_bytes);
    baseline.speed = std::make_shared<TypeSpeed>(source, wish.target, baseline.types);
    fast.baselines_.push_back(std::move(baseline));
  }
  std::stable_sort(
      fast.baselines_.begin(), fast.baselines_.end(),
      [](const Baseline& a, const Baseline& b) { return a.file_bytes < b.file_bytes; });
  return fast;
}

const FastTypes::Baseline& FastTypes::For(uint64_t file_bytes) const {
  const auto larger =
      std::find_if(baselines_.begin(), baselines_.end(),
                   [&](const Baseline& baseline) { return baseline.file_bytes > file_bytes; });
  return larger == baselines_.begin() ? *larger : *std::prev(larger);
}

Result<ChosenMix> FastTypes::Choose(const std::vector<TensorWorth>& worths, MixGoal goal) const {
  const Baseline& baseline = For(*goal.file_bytes);
  const auto seconds = baseline.speed->Of(baseline.types);
  if (seconds) {
    const double more = 1 / kShare - 1;
    goal.speed = SpeedGoal{
        [&](size_t tensor, TensorType type) { return baseline.speed->Extra(tensor, type); },
        {more * seconds->token, more * seconds->prompt}};
  }
  return ChooseMix(source_, worths, goal, header_bytes_);
}

std::optional<SpeedBeside> FastTypes::Beside(const std::vector<TensorType>& types,
                                             uint64_t file_bytes) const {
  const Baseline& baseline = For(file_bytes);
  const auto theirs = baseline.speed->Of(baseline.types);
  const auto ours = baseline.speed->Of(types);
  if (!theirs || !ours) return std::nullopt;
  return SpeedBeside{baseline.recipe->name, theirs->token / ours->token,
                     theirs->prompt / ours->prompt};
}

}  // namespace trimma
