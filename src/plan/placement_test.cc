#include "plan/placement.h"

#include <gtest/gtest.h>

#include <regex>

namespace trimma::placement_test {
namespace {

TensorInfo Tensor(const std::string& name, std::vector<uint64_t> shape) {
  return {name, tensor_type::kF16, std::move(shape), 0, 0, 0};
}

GgufFile Dense() {
  GgufFile file;
  file.tensors = {Tensor("token_embd.weight", {9000, 8}),
                  Tensor("blk.0.ffn_down.weight", {512, 64}),
                  Tensor("blk.1.ffn_norm.weight", {4096})};
  return file;
}

GgufFile Experts() {
  GgufFile file = Dense();
  for (const char* layer : {"1", "2", "3"})
    file.tensors.push_back(
        Tensor("blk." + std::string(layer) + ".ffn_up_exps.weight", {64, 32, 8}));
  return file;
}

TEST(PlacementsTest, ADenseModelGivesUpLayerAfterLayer) {
  const Placements placements(Dense(), 5);
  ASSERT_EQ(placements.size(), 6U);
  for (size_t place = 0; place < placements.size(); ++place) {
    const RuntimeSettings settings = placements.At(place, {});
    EXPECT_EQ(settings.gpu_layers, 5 - static_cast<int>(place));
    EXPECT_TRUE(settings.host_tensors.empty());
  }
}

TEST(PlacementsTest, AMixtureOfExpertsGivesUpExpertsFirst) {
  const Placements placements(Experts(), 5);
  ASSERT_EQ(placements.size(), 9U);
  EXPECT_TRUE(placements.At(0, {}).host_tensors.empty());
  const RuntimeSettings two = placements.At(2, {});
  EXPECT_EQ(two.gpu_layers, 5);
  ASSERT_EQ(two.host_tensors.size(), 1U);
  const std::regex pattern(two.host_tensors[0]);
  EXPECT_TRUE(std::regex_search("blk.1.ffn_up_exps.weight", pattern));
  EXPECT_TRUE(std::regex_search("blk.2.ffn_gate_up_exps.weight", pattern));
  EXPECT_FALSE(std::regex_search("blk.3.ffn_up_exps.weight", pattern));
  EXPECT_FALSE(std::regex_search("blk.12.ffn_up_exps.weight", pattern));
  EXPECT_FALSE(std::regex_search("blk.1.attn_q.weight", pattern));
  // Then layers; with none on the card there is nothing to except.
  EXPECT_EQ(placements.At(4, {}).gpu_layers, 4);
  EXPECT_EQ(placements.At(8, {}).gpu_layers, 0);
  EXPECT_TRUE(placements.At(8, {}).host_tensors.empty());
}

TEST(PlacementsTest, WhatTheUserKeepsOnTheHostStaysThere) {
  RuntimeSettings settings;
  settings.host_tensors = {"mine"};
  const RuntimeSettings placed = Placements(Experts(), 5).At(1, settings);
  ASSERT_EQ(placed.host_tensors.size(), 2U);
  EXPECT_EQ(placed.host_tensors[0], "mine");
}

TEST(WidestRowTest, IsThatOfAMatrixButNotOfTheEmbedding) {
  EXPECT_EQ(WidestRow(Dense()), 512U);
  EXPECT_EQ(WidestRow(GgufFile()), 0U);
}

}  // namespace
}  // namespace trimma::placement_test
