#include "tune/placements.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::placements_test {
namespace {

constexpr const char* kFeedForward = "feed-forward matrices on the host";

// 4.25 GiB free, and what a card of that size keeps for itself.
PricingTarget SmallCard() {
  PricingTarget target;
  constexpr uint64_t kFree = 17ULL << 28;
  target.cards = {PhantomCard{"a card", 750, kFree, kFree}};
  Overhead overhead;
  overhead.fixed_bytes = 400 << 20;
  overhead.margin_bytes = 64 << 20;
  target.overheads = {overhead};
  return target;
}

struct PlannedModel {
  GgufFile file;
  RuntimeSettings settings;
  int layers = 0;
};

// As the planner places the file's own types.
PlannedModel PlannedOn(const PricingTarget& target, const GgufFile& file, uint32_t context) {
  PricingRequest request;
  request.contexts = {context};
  request.kv = {{}};
  request.target = target;
  const auto pricing = PriceMixes(file, request);
  CHECK(pricing.ok());
  return {file, pricing->cells.at(0).settings, pricing->layers};
}

PlannedModel Gemma(uint32_t context) {
  const auto file = ReadGguf(std::string(TRIMMA_GHOSTS) + "/g4b.gguf");
  CHECK(file.ok());
  return PlannedOn(SmallCard(), *file, context);
}

std::string WhyNot(const OtherPlacements& others) {
  return others.not_tried.empty() ? "" : others.not_tried.at(0).why;
}

TEST(TunePlacementsTest, WhereNotAllFitsTheFewestFeedForwardMatricesLeaveTheCard) {
  const PlannedModel planned = Gemma(131072);
  ASSERT_LT(*planned.settings.gpu_layers, planned.layers);
  const auto others = PlacementsBeside(planned.file, planned.settings, planned.layers, SmallCard());
  ASSERT_TRUE(others.ok()) << others.error().what;
  EXPECT_TRUE(others->not_tried.empty());
  std::vector<Placed> more;
  std::vector<Placed> hosted;
  for (const Placed& placed : others->placed) {
    (placed.host_tensors.empty() ? more : hosted).push_back(placed);
  }
  ASSERT_EQ(more.size(), 2U);
  EXPECT_EQ(more[0].gpu_layers, *planned.settings.gpu_layers + 1);
  EXPECT_EQ(more[1].gpu_layers, *planned.settings.gpu_layers + 2);
  ASSERT_EQ(hosted.size(), 2U);
  EXPECT_FALSE(others->placed[0].host_tensors.empty()) << "what promises most comes first";
  // The last fits by the engine's own count, reserve and margin left free; one fewer doesn't.
  const bool expected[] = {false, true};
  for (size_t i = 0; i < hosted.size(); ++i) {
    EXPECT_EQ(hosted[i].gpu_layers, planned.layers);
    RuntimeSettings settings = planned.settings;
    settings.gpu_layers = hosted[i].gpu_layers;
    settings.host_tensors = hosted[i].host_tensors;
    const auto devices = PriceSettings(planned.file, settings, SmallCard());
    ASSERT_TRUE(devices.ok());
    EXPECT_EQ(FitOnGpus(*devices), expected[i]) << hosted[i].what;
    EXPECT_EQ(devices->at(0).reserve_bytes, 464ULL << 20);
  }
}

TEST(TunePlacementsTest, WhereAllFitsThereIsNothingToGain) {
  const PlannedModel planned = Gemma(4096);
  ASSERT_EQ(*planned.settings.gpu_layers, planned.layers);
  const auto others = PlacementsBeside(planned.file, planned.settings, planned.layers, SmallCard());
  ASSERT_TRUE(others.ok());
  EXPECT_TRUE(others->placed.empty());
  ASSERT_EQ(others->not_tried.size(), 1U);
  EXPECT_EQ(others->not_tried[0].what, kFeedForward);
  EXPECT_EQ(WhyNot(*others), "all layers fit on the GPU");
}

TEST(TunePlacementsTest, TheRestOfAllLayersMayBeTooMuch) {
  PricingTarget target = SmallCard();
  target.cards->at(0).free_bytes = 900 << 20;
  const auto file = ReadGguf(std::string(TRIMMA_GHOSTS) + "/g4b.gguf");
  ASSERT_TRUE(file.ok());
  PlannedModel planned = PlannedOn(target, *file, 4096);
  const auto others = PlacementsBeside(planned.file, planned.settings, planned.layers, target);
  ASSERT_TRUE(others.ok());
  EXPECT_EQ(WhyNot(*others), "the GPU doesn't hold the rest of all layers");
}

TEST(TunePlacementsTest, AMixtureOfExpertsTakesExpertsBackInstead) {
  const TempTree tree;
  TinyModelOptions shape;
  shape.experts = 4;
  shape.layers = 6;
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf", shape));
  ASSERT_TRUE(file.ok());
  PlannedModel planned = {*file, {}, 7};
  planned.settings.gpu_layers = 7;
  planned.settings.host_tensors = {R"(blk\.(0|1|2)\.ffn_(up|down|gate|gate_up)_(ch|)exps)"};
  const auto others = PlacementsBeside(planned.file, planned.settings, planned.layers, SmallCard());
  ASSERT_TRUE(others.ok());
  ASSERT_EQ(others->placed.size(), 2U);
  EXPECT_EQ(others->placed[0].host_tensors,
            std::vector<std::string>{R"(blk\.(0|1)\.ffn_(up|down|gate|gate_up)_(ch|)exps)"});
  EXPECT_EQ(others->placed[1].what, "experts of two layers more on the GPU");
  EXPECT_EQ(WhyNot(*others), "matrices of layers are on the host already");
}

TEST(TunePlacementsTest, WhatTheUserPlacedStaysAndIsSaid) {
  const TempTree tree;
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf", {}));
  ASSERT_TRUE(file.ok());
  RuntimeSettings settings;
  settings.gpu_layers = 3;
  settings.host_tensors = {"attn"};
  const auto others = PlacementsBeside(*file, settings, 3, SmallCard());
  ASSERT_TRUE(others.ok());
  EXPECT_TRUE(others->placed.empty());
  EXPECT_EQ(WhyNot(*others), "matrices of layers are on the host already");
}

}  // namespace
}  // namespace trimma::placements_test
