#include "quantize/allocation/exchange.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

namespace trimma::exchange_test {
namespace {

// Tensors with four types each, whose losses are thought to be other than they are.
struct World {
  std::vector<TypeChoices> thought;
  std::vector<double> truth;  // what a tensor's loss is to be multiplied with
  double LossOf(const std::vector<size_t>& chosen) const {
    double loss = 0;
    for (size_t i = 0; i < chosen.size(); ++i) loss += truth[i] * thought[i][chosen[i]].loss;
    return loss;
  }
  uint64_t BytesOf(const std::vector<size_t>& chosen) const {
    uint64_t bytes = 0;
    for (size_t i = 0; i < chosen.size(); ++i) bytes += thought[i][chosen[i]].bytes;
    return bytes;
  }
};

World MakeWorld(double deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> worth(0, 1);
  World world;
  for (int i = 0; i < 24; ++i) {
    TypeChoices choices;
    const double sensitivity = worth(random);
    for (const auto& [type, bits] : {std::pair{tensor_type::kQ3_K, 3.4},
                                     {tensor_type::kQ4_K, 4.5},
                                     {tensor_type::kQ5_K, 5.5},
                                     {tensor_type::kQ6_K, 6.6}}) {
      choices.push_back(
          {type, static_cast<uint64_t>(bits * 1000), sensitivity * std::exp2(-2 * bits)});
    }
    world.thought.push_back(choices);
    std::normal_distribution<double> off(0, 1);
    world.truth.push_back(std::exp(deviation * off(random)));
  }
  return world;
}

struct Searched {
  double before = 0, after = 0;
  int trials = 0;
};

Searched Search(const World& world, uint64_t budget, int most) {
  const auto allocation = AllocateWithin(world.thought, budget);
  Exchanges exchanges(world.thought, allocation->chosen,
                      budget - world.BytesOf(allocation->chosen));
  Searched found;
  found.before = found.after = world.LossOf(allocation->chosen);
  while (found.trials < most) {
    const auto exchange = exchanges.Next();
    if (!exchange) break;
    ++found.trials;
    std::vector<size_t> then = exchanges.chosen();
    for (const ExchangeStep& step : *exchange) then[step.tensor] = step.to;
    EXPECT_LE(world.BytesOf(then), budget);
    const double loss = world.LossOf(then);
    const bool taken = loss < found.after;
    exchanges.Learn(*exchange, {loss - found.after, 1e-9, taken});
    if (taken) found.after = loss;
    EXPECT_DOUBLE_EQ(world.LossOf(exchanges.chosen()), found.after);
  }
  return found;
}

TEST(ExchangesTest, TrialsMakeUpForWrongSensitivities) {
  double left = 0;
  for (unsigned seed = 1; seed <= 8; ++seed) {
    const World world = MakeWorld(0.5, seed);
    const Searched found = Search(world, 24 * 4600, 60);
    // What an allocation that knew the truth would reach.
    std::vector<TypeChoices> true_choices = world.thought;
    for (size_t i = 0; i < true_choices.size(); ++i) {
      for (TypeChoice& choice : true_choices[i]) choice.loss *= world.truth[i];
    }
    const auto ideal = AllocateWithin(true_choices, 24 * 4600);
    EXPECT_LE(found.after, found.before) << seed;
    left += (found.after - ideal->loss) / (found.before - ideal->loss) / 8;
  }
  EXPECT_LT(left, 0.5);
}

TEST(ExchangesTest, NothingIsGainedWhereTheSensitivitiesAreRight) {
  const World world = MakeWorld(0, 3);
  const Searched found = Search(world, 24 * 4600, 200);
  // The allocation's steps of bytes leave a little.
  EXPECT_GT(found.after, 0.98 * found.before);
  EXPECT_LT(found.trials, 200);
}

TEST(ExchangesTest, NoExchangeIsTriedTwice) {
  const World world = MakeWorld(0.5, 5);
  const auto allocation = AllocateWithin(world.thought, 24 * 4600);
  Exchanges exchanges(world.thought, allocation->chosen, 0);
  std::set<Exchange> seen;
  for (int i = 0; i < 40; ++i) {
    auto exchange = exchanges.Next();
    if (!exchange) break;
    exchanges.Learn(*exchange, {0, 1, false});
    std::sort(exchange->begin(), exchange->end());
    EXPECT_TRUE(seen.insert(*exchange).second) << i;
  }
  EXPECT_GT(seen.size(), 1U);
}

TEST(ExchangesTest, OneTensorWithOneTypeHasNoExchange) {
  const TypeChoices only = {{tensor_type::kQ4_K, 100, 1.0}};
  EXPECT_FALSE(Exchanges({only, only}, {0, 0}, 1000).Next());
}

}  // namespace
}  // namespace trimma::exchange_test
