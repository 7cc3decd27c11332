#include "plan/mix_share.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "plan/quality_fit.h"

namespace trimma {
namespace {

// The recipe that gives (nearly) every matrix this type.
const char* PureRecipe(std::string_view type) {
  using Pair = std::pair<std::string_view, const char*>;
  static constexpr Pair kPure[] = {
      {"Q8_0", "Q8_0"},       {"Q6_K", "Q6_K"},     {"Q5_K", "Q5_K_S"}, {"Q5_1", "Q5_1"},
      {"Q5_0", "Q5_0"},       {"Q4_K", "Q4_K_S"},   {"Q4_1", "Q4_1"},   {"Q4_0", "Q4_0"},
      {"IQ4_NL", "IQ4_NL"},   {"IQ4_XS", "IQ4_XS"}, {"Q3_K", "Q3_K_S"}, {"IQ3_S", "IQ3_S"},
      {"IQ3_XXS", "IQ3_XXS"}, {"Q2_K", "Q2_K_S"},   {"IQ2_S", "IQ2_S"}, {"IQ2_XS", "IQ2_XS"},
      {"IQ2_XXS", "IQ2_XXS"}, {"IQ1_M", "IQ1_M"},   {"IQ1_S", "IQ1_S"},
  };
  for (const auto& [name, recipe] : kPure) {
    if (name == type) return recipe;
  }
  return nullptr;
}

bool IsMatrix(const TensorInfo& tensor) { return tensor.shape.size() >= 2 && tensor.rows() > 1; }

constexpr uint32_t kSuperBlock = 256;

// What the recipe meant for a tensor whose rows its block doesn't divide.
TensorType Meant(const TensorInfo& tensor, TensorType actual, const FileType& recipe) {
  using namespace tensor_type;
  const bool wide = InfoOf(recipe.base).block == kSuperBlock;
  if (!wide || tensor.row_length() % kSuperBlock == 0) return actual;
  if (actual == kQ8_0) return kQ6_K;
  if (actual == kQ5_1) return kQ5_K;
  if (actual == kQ5_0) return kQ4_K;
  return recipe.base;  // IQ4_NL, Q4_0, F16
}

}  // namespace

std::optional<double> TypeLoss(TensorType type) {
  if (!InfoOf(type).quantized) return 0.0;
  const char* recipe = PureRecipe(NameOf(type));
  if (recipe == nullptr) return std::nullopt;
  const LossFit& fit = KnownLossFit();
  constexpr double kAnySize = 8e9;
  const auto level = fit.Expected(recipe, kAnySize, true);
  const auto q4 = fit.Expected("Q4_K_S", kAnySize, true);
  if (!level || !q4) return std::nullopt;
  return std::exp(*level - *q4);
}

std::optional<double> MixShare(const GgufFile& source, const std::vector<TensorType>& types,
                               const FileType& recipe) {
  CHECK(types.size() == source.tensors.size());
  double lost = 0;
  double meant = 0;
  for (size_t i = 0; i < types.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    if (!IsMatrix(tensor)) continue;
    const auto weight = static_cast<double>(tensor.elements());
    const bool kept = types[i] == tensor.type && InfoOf(tensor.type).quantized;
    const auto whole = TypeLoss(kept ? recipe.base : Meant(tensor, types[i], recipe));
    const auto actual = kept ? 0.0 : TypeLoss(types[i]);
    if (!whole || !actual) return std::nullopt;
    lost += weight * *actual;
    meant += weight * *whole;
  }
  if (meant == 0) return lost == 0 ? std::optional(0.0) : std::nullopt;
  return lost / meant;
}

}  // namespace trimma
