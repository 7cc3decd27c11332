#include "plan/feed_forward.h"

#include <gtest/gtest.h>

#include <regex>

namespace trimma::feed_forward_test {
namespace {

TEST(FeedForwardTest, CountsLayersWithMatricesThatAreNoExperts) {
  GgufFile file;
  for (const char* name : {"token_embd.weight", "blk.0.ffn_down.weight", "blk.0.ffn_up.weight",
                           "blk.0.ffn_norm.weight", "blk.1.ffn_down.weight",
                           "blk.2.ffn_down_exps.weight", "blk.2.ffn_down_shexp.weight"})
    file.tensors.push_back({name, tensor_type::kF16, {8, 8}, 0, 0, 0});
  EXPECT_EQ(FeedForwardLayers(file), 2);
  EXPECT_EQ(FeedForwardLayers({}), 0);
  // In any order; a layer of experts in between ends it.
  GgufFile mixed;
  for (const char* name : {"blk.4.ffn_down.weight", "blk.1.ffn_down.weight",
                           "blk.2.ffn_down_exps.weight", "blk.0.ffn_down.weight"}) {
    mixed.tensors.emplace_back();
    mixed.tensors.back().name = name;
  }
  EXPECT_EQ(FeedForwardLayers(mixed), 2);
}

TEST(FeedForwardTest, ThePatternMeansTheseMatricesOfTheFirstLayers) {
  RuntimeSettings before;
  before.gpu_layers = 3;
  before.ubatch = 128;
  const RuntimeSettings settings = WithFeedForwardOnHost(before, 35, 11);
  EXPECT_EQ(settings.gpu_layers, 35);
  EXPECT_EQ(settings.ubatch, 128U);
  ASSERT_EQ(settings.host_tensors.size(), 1U);
  const std::regex pattern(settings.host_tensors[0]);
  const auto hosted = [&](const std::string& name) { return std::regex_search(name, pattern); };
  for (const char* name :
       {"blk.0.ffn_up.weight", "blk.10.ffn_down.weight", "blk.1.ffn_gate.weight"})
    EXPECT_TRUE(hosted(name)) << name;
  for (const char* name : {"blk.11.ffn_up.weight", "blk.0.ffn_norm.weight", "blk.0.attn_q.weight",
                           "blk.1.ffn_up_exps.weight", "blk.21.ffn_up.weight"})
    EXPECT_FALSE(hosted(name)) << name;
}

TEST(FeedForwardTest, TheFewestAreFoundInFewSteps) {
  for (int most = 1; most <= 40; ++most) {
    for (int needed = 1; needed <= most; ++needed) {
      int asked = 0;
      const auto found = FewestOnHost(most, [&](int hosted) -> Result<bool> {
        ++asked;
        return hosted >= needed;
      });
      ASSERT_TRUE(found.ok());
      EXPECT_EQ(*found, needed) << "of " << most;
      EXPECT_LE(asked, 7);
    }
  }
}

TEST(FeedForwardTest, WhatDoesNotFitAtAllIsNoNumberAndAnErrorIsPassedOn) {
  const auto never = FewestOnHost(9, [](int) -> Result<bool> { return false; });
  ASSERT_TRUE(never.ok());
  EXPECT_EQ(*never, std::nullopt);
  const auto none = FewestOnHost(0, [](int) -> Result<bool> { return true; });
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, std::nullopt);
  const auto broken = FewestOnHost(
      9, [](int) -> Result<bool> { return Error{Code::kInternal, "the engine went away", ""}; });
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().what, "the engine went away");
}

}  // namespace
}  // namespace trimma::feed_forward_test
