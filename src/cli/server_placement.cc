#include "cli/server_placement.h"

#include <fmt/format.h>

namespace trimma {
namespace {

constexpr int kMoreLayers = 2;

}  // namespace

OtherPlacements PlacedBeside(const CardPlacement& own, const RuntimeSettings& defaults) {
  OtherPlacements others;
  const auto skip = [&](const char* why) {
    others.not_tried.push_back({"more layers on the card", why});
  };
  if (own.devices > 1) {
    skip("llama-server divides the model among several cards by itself");
  } else if (own.has_experts) {
    skip("llama-server places the experts apart from their layers");
  } else if (!own.layers) {
    skip("llama-server's log doesn't say how many it places there");
  } else if (own.layers->first >= own.layers->second) {
    skip("llama-server places all of them there");
  } else {
    const auto [own_layers, all] = *own.layers;
    for (int more = 1; more <= kMoreLayers && own_layers + more <= all; ++more) {
      others.placed.push_back({fmt::format("GPU layers {}", own_layers + more), own_layers + more,
                               defaults.host_tensors});
    }
  }
  return others;
}

}  // namespace trimma
