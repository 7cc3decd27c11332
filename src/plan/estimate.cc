#include "plan/estimate.h"

namespace trimma {

Json IntervalJson(const std::optional<Estimate>& estimate) {
  if (!estimate) return {};
  return {{"low", estimate->low}, {"high", estimate->high}, {"measured", estimate->measured}};
}

Json ValueJson(const std::optional<Estimate>& estimate) {
  return estimate ? Json(estimate->value) : Json();
}

}  // namespace trimma
