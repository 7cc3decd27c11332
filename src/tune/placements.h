// Placements on a card that tune tries besides the planner's own, where not all fits there.
#pragma once

#include <vector>

#include "plan/pricing.h"
#include "tune/space.h"

namespace trimma {

struct OtherPlacements {
  std::vector<Placed> placed;  // what promises most comes first
  std::vector<NotTried> not_tried;
};

// `planned`: as the planner placed it, of `layers` as -ngl counts.
//
// All layers on the GPUs, but for the feed-forward matrices of as few as the engine's own count of
// bytes asks for, what the card keeps for itself and the margin left free as in a plan; of one
// fewer before that: a trial that runs out of memory is a result. Then a layer (or a layer's
// experts) or two more on the GPUs than the plan allows.
Result<OtherPlacements> PlacementsBeside(const GgufFile& file, const RuntimeSettings& planned,
                                         int layers, const PricingTarget& target);

}  // namespace trimma
