#include "engine/greedy.h"

#include <algorithm>
#include <cmath>

namespace trimma {

Error NotFinite() {
  return {Code::kInvalid, "the model's predictions are not finite numbers",
          "the model is damaged; make or fetch it again"};
}

Result<Token> MostLikely(const float* logits, int vocabulary) {
  const float* best = std::max_element(logits, logits + vocabulary);
  // NaN is larger than nothing, so that one at the beginning stays the largest.
  if (!std::isfinite(*best)) return NotFinite();
  return static_cast<Token>(best - logits);
}

}  // namespace trimma
