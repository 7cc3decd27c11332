// Pricing's values on their way to the child and back.
#pragma once

#include "plan/pricing.h"

namespace trimma {

Json ToJson(const PricedCell& cell);
Json ToJson(const Mix& mix);
Json ToJson(const PricingTarget& target);
Result<PricingTarget> PricingTargetFromJson(const Json& json);
Result<PricedCell> PricedCellFromJson(const Json& json);

}  // namespace trimma
