#include "hardware/energy.h"

#include <gtest/gtest.h>

namespace trimma::energy_test {
namespace {

// Two cards that have used 1500 and 250 millijoules.
unsigned long long g_first = 1500;
unsigned int g_cards = 2;
bool g_second_answers = true;

int Init() { return 0; }
int Refuse() { return 9; }
int Count(unsigned int* cards) {
  *cards = g_cards;
  return 0;
}
int Handle(unsigned int index, void** card) {
  static int known[2];
  *card = &known[index];
  return 0;
}
int Energy(void* card, unsigned long long* millijoules) {
  void* first = nullptr;
  Handle(0, &first);
  *millijoules = card == first ? g_first : 250;
  return card == first || g_second_answers ? 0 : 3;
}

EnergyMeter::Functions All() { return {Init, Count, Handle, Energy}; }

TEST(EnergyMeterTest, CountsAllCardsTogetherInJoules) {
  const auto meter = EnergyMeter::With(All());
  ASSERT_TRUE(meter.has_value());
  EXPECT_DOUBLE_EQ(*meter->Joules(), 1.75);
  g_first += 500;
  EXPECT_DOUBLE_EQ(*meter->Joules(), 2.25);
  g_first -= 500;
  g_second_answers = false;
  EXPECT_FALSE(meter->Joules().has_value()) << "a part would be no sum";
  EXPECT_FALSE(EnergyMeter::With(All()).has_value());
  g_second_answers = true;
}

TEST(EnergyMeterTest, WithoutLibraryCardOrFunctionThereIsNone) {
  EnergyMeter::Functions functions = All();
  functions.init = Refuse;
  EXPECT_FALSE(EnergyMeter::With(functions).has_value());
  functions = All();
  functions.energy = nullptr;  // a driver from before it was there
  EXPECT_FALSE(EnergyMeter::With(functions).has_value());
  g_cards = 0;
  EXPECT_FALSE(EnergyMeter::With(All()).has_value());
  g_cards = 2;
}

TEST(JoulesPerTokenTest, OfSpansThatTheCounterResolves) {
  EnergyUse use = {30, 0.6, 60};
  EXPECT_FALSE(JoulesPerToken(use).has_value()) << "too short";
  use.Add({60, 1.2, 120});
  ASSERT_TRUE(JoulesPerToken(use).has_value());
  EXPECT_DOUBLE_EQ(*JoulesPerToken(use), 0.5);
  EXPECT_FALSE(JoulesPerToken({5, 3, 0}).has_value());
}

}  // namespace
}  // namespace trimma::energy_test
