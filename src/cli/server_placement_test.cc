#include "cli/server_placement.h"

#include <gtest/gtest.h>

namespace trimma::server_placement_test {
namespace {

CardPlacement OneCard(std::optional<std::pair<int, int>> layers) {
  CardPlacement placement;
  placement.devices = 1;
  placement.layers = layers;
  return placement;
}

TEST(ServerPlacementTest, AFewMoreLayersThanTheServerTakes) {
  const OtherPlacements two = PlacedBeside(OneCard(std::pair(20, 33)), {});
  ASSERT_EQ(two.placed.size(), 2U);
  EXPECT_EQ(two.placed[0].gpu_layers, 21);
  EXPECT_EQ(two.placed[1].gpu_layers, 22);
  EXPECT_TRUE(two.not_tried.empty());
  EXPECT_EQ(PlacedBeside(OneCard(std::pair(32, 33)), {}).placed.size(), 1U);
}

TEST(ServerPlacementTest, WhatIsNotTriedHasItsReason) {
  const auto why = [](const CardPlacement& placement) {
    const OtherPlacements others = PlacedBeside(placement, {});
    EXPECT_TRUE(others.placed.empty());
    return others.not_tried.size() == 1 ? others.not_tried[0].why : "";
  };
  EXPECT_NE(why(OneCard(std::pair(33, 33))).find("all of them"), std::string::npos);
  EXPECT_NE(why(OneCard(std::nullopt)).find("log"), std::string::npos);
  CardPlacement several = OneCard(std::pair(20, 33));
  several.devices = 2;
  EXPECT_FALSE(several.asks_server());
  EXPECT_NE(why(several).find("several cards"), std::string::npos);
  CardPlacement experts = OneCard(std::pair(20, 33));
  experts.has_experts = true;
  EXPECT_FALSE(experts.asks_server());
  EXPECT_NE(why(experts).find("experts"), std::string::npos);
}

}  // namespace
}  // namespace trimma::server_placement_test
