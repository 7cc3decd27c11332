// Where tune --through llama-server tries to put layers, besides where the server puts them (pure).
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "tune/placements.h"

namespace trimma {

// What is known of the server's own placement.
struct CardPlacement {
  size_t devices = 0;
  bool has_experts = false;
  std::optional<std::pair<int, int>> layers;  // on the card, of all; nullopt: its log doesn't say
  // Else nothing that its log says would change what is tried.
  bool asks_server() const { return devices == 1 && !has_experts; }
};

// One layer and two more than the server takes. None where all are there, and none where a number
// of layers would not be its placement and a little more: it also divides layers among cards, and
// keeps experts on the host.
OtherPlacements PlacedBeside(const CardPlacement& own, const RuntimeSettings& defaults);

}  // namespace trimma
