#include "measure/sampler_cost.h"

#include <gtest/gtest.h>

namespace trimma::sampler_cost_test {
namespace {

SamplerOrder Order(int group, double low, double median, double high) {
  return {{"top_k"}, group, 0, {median, low, high, 9}};
}

TEST(CheapestEqualTest, TakesTheCheapestThatChoosesAlike) {
  EXPECT_EQ(CheapestEqual({Order(0, 90, 100, 110), Order(0, 40, 50, 60), Order(0, 30, 35, 45),
                           Order(1, 1, 2, 3)}),
            2);
}

TEST(CheapestEqualTest, KeepsTheUsualOrderWhereNoneIsClearlyCheaper) {
  EXPECT_EQ(CheapestEqual({Order(0, 90, 100, 110), Order(0, 80, 85, 95)}), 0);
  EXPECT_EQ(CheapestEqual({Order(0, 90, 100, 110)}), 0);
}

TEST(SamplerCostTest, GoesThroughJson) {
  SamplerCost cost;
  cost.vocabulary = 300;
  cost.positions = 8;
  cost.decode_ms = {2, 1, 3, 64};
  cost.orders = {Order(0, 1, 2, 3), Order(1, 4, 5, 6)};
  const auto back = SamplerCostFromJson(ToJson(cost));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(ToJson(*back), ToJson(cost));
  EXPECT_EQ(ToJson(cost)["orders"][1]["same"], false);
  EXPECT_FALSE(SamplerCostFromJson(Json::object()).ok());
}

}  // namespace
}  // namespace trimma::sampler_cost_test
