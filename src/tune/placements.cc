#include "tune/placements.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/feed_forward.h"
#include "plan/placement.h"

namespace trimma {
namespace {

constexpr size_t kTighter = 2;
constexpr const char* kFeedForward = "feed-forward matrices on the host";

Placed PlacedAs(const std::string& what, const RuntimeSettings& settings) {
  return {what, settings.gpu_layers, settings.host_tensors};
}

// What the planner would have taken next, had there been a little more room.
void AddTighter(const GgufFile& file, const RuntimeSettings& planned, int layers,
                std::vector<Placed>& placed) {
  const Placements ways(file, layers);
  RuntimeSettings bare = planned;
  bare.host_tensors.clear();
  size_t place = 0;
  while (place < ways.size() && !(ways.At(place, bare) == planned)) ++place;
  if (place == ways.size()) return;  // the user's own
  for (size_t step = 1; step <= std::min(kTighter, place); ++step) {
    const RuntimeSettings settings = ways.At(place - step, bare);
    const bool more_layers = settings.gpu_layers != planned.gpu_layers;
    placed.push_back(PlacedAs(more_layers ? fmt::format("GPU layers {}", *settings.gpu_layers)
                                          : fmt::format("experts of {} more on the GPU",
                                                        step == 1 ? "a layer" : "two layers"),
                              settings));
  }
}

// What leaves least on the host comes first: where it is too much for the card, that is soon known.
Status AddFeedForward(const GgufFile& file, const RuntimeSettings& planned, int layers,
                      const PricingTarget& target, OtherPlacements& others) {
  const auto skip = [&](const char* why) { others.not_tried.push_back({kFeedForward, why}); };
  const int most = FeedForwardLayers(file);
  if (most == 0) {
    skip("the model has none but experts");
    return {};
  }
  TRY(const auto fewest, FewestOnHost(most, [&](int hosted) -> Result<bool> {
        TRY(const auto devices,
            PriceSettings(file, WithFeedForwardOnHost(planned, layers, hosted), target));
        return FitOnGpus(devices);
      }));
  if (!fewest) {
    skip("the GPU doesn't hold the rest of all layers");
    return {};
  }
  for (int hosted = std::max(1, *fewest - 1); hosted <= *fewest; ++hosted) {
    others.placed.push_back(PlacedAs(fmt::format("feed-forward of {} layers on the host", hosted),
                                     WithFeedForwardOnHost(planned, layers, hosted)));
  }
  return {};
}

}  // namespace

Result<OtherPlacements> PlacementsBeside(const GgufFile& file, const RuntimeSettings& planned,
                                         int layers, const PricingTarget& target) {
  OtherPlacements others;
  const auto skip = [&](const char* why) { others.not_tried.push_back({kFeedForward, why}); };
  const int on_gpu = planned.gpu_layers.value_or(layers);
  if (on_gpu >= layers && planned.host_tensors.empty()) {
    skip("all layers fit on the GPU");
    return others;
  }
  if (!planned.host_tensors.empty()) {
    skip("matrices of layers are on the host already");
    AddTighter(file, planned, layers, others.placed);
    return others;
  }
  TRY_STATUS(AddFeedForward(file, planned, layers, target, others));
  AddTighter(file, planned, layers, others.placed);
  return others;
}

}  // namespace trimma
