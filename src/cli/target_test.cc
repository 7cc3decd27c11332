#include "cli/target.h"

#include <gtest/gtest.h>

namespace trimma::target_test {
namespace {

Machine WithCard() {
  Machine machine;
  machine.memory.available_bytes = 16ULL << 30;
  machine.gpus = {{"NVIDIA GeForce RTX 3060", "CUDA", 12ULL << 30, 11ULL << 30}};
  return machine;
}

PlanTarget Chosen(const TargetOptions& options) {
  const auto target = ChooseTarget(WithCard(), options);
  CHECK(target.ok());
  return *target;
}

TEST(TargetTest, WithoutWishesItIsThisMachine) {
  const PlanTarget target = Chosen({});
  EXPECT_FALSE(target.imagined);
  EXPECT_FALSE(target.pricing.cards.has_value());
  ASSERT_EQ(target.machine.gpus.size(), 1U);
  ASSERT_TRUE(target.cards.at(0).has_value());
  EXPECT_EQ(target.cards[0]->compute_capability, 860);
  EXPECT_EQ(target.pricing.overheads.size(), 1U);
}

TEST(TargetTest, ACardOfTheCatalogueTakesTheRealOnesPlace) {
  const PlanTarget target = Chosen({.gpus = {"rtx 2060"}});
  EXPECT_TRUE(target.imagined);
  ASSERT_EQ(target.pricing.cards->size(), 1U);
  const PhantomCard& card = target.pricing.cards->at(0);
  EXPECT_EQ(card.compute_capability, 750);
  EXPECT_EQ(card.free_bytes, card.total_bytes);
  EXPECT_GT(card.total_bytes, 5ULL << 30);
  EXPECT_LT(card.total_bytes, 6ULL << 30) << "the driver keeps some of what is sold";
  EXPECT_EQ(target.machine.gpus.at(0).name, "NVIDIA GeForce RTX 2060");
  EXPECT_EQ(target.machine.memory.available_bytes, 16ULL << 30) << "the host stays ours";
  EXPECT_FALSE(target.notes.empty());
}

TEST(TargetTest, LessMayBeFreeThanTheCardHasButNotMore) {
  const PlanTarget some = Chosen({.gpus = {"2060"}, .vram = {"4GiB"}});
  EXPECT_EQ(some.pricing.cards->at(0).free_bytes, 4ULL << 30);
  const auto more = ChooseTarget(WithCard(), {.gpus = {"2060"}, .vram = {"8GiB"}});
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, Code::kUsage);
}

TEST(TargetTest, ASizeAloneIsACard) {
  const PlanTarget target = Chosen({.vram = {"7.5GiB"}});
  EXPECT_EQ(target.pricing.cards->at(0).total_bytes, 15ULL << 29);
  EXPECT_FALSE(target.cards.at(0).has_value());
}

TEST(TargetTest, SeveralCardsEachWithItsSize) {
  const PlanTarget same = Chosen({.gpus = {"3090", "3090"}, .vram = {"20GiB"}});
  EXPECT_EQ(same.pricing.cards->at(1).free_bytes, 20ULL << 30);
  const PlanTarget each = Chosen({.gpus = {"3090", "2060"}, .vram = {"20GiB", "4GiB"}});
  EXPECT_EQ(each.pricing.cards->at(1).free_bytes, 4ULL << 30);
  EXPECT_EQ(
      ChooseTarget({}, {.gpus = {"3090", "3090", "3090"}, .vram = {"1GiB", "2GiB"}}).error().code,
      Code::kUsage);
  EXPECT_EQ(ChooseTarget({}, {.gpus = std::vector<std::string>(17, "3090")}).error().code,
            Code::kUsage);
}

TEST(TargetTest, NoneIsTheHostAlone) {
  const PlanTarget target = Chosen({.gpus = {"none"}});
  ASSERT_TRUE(target.pricing.cards.has_value());
  EXPECT_TRUE(target.pricing.cards->empty());
  EXPECT_TRUE(target.machine.gpus.empty());
  EXPECT_EQ(ChooseTarget({}, {.gpus = {"none"}, .vram = {"4GiB"}}).error().code, Code::kUsage);
}

TEST(TargetTest, WhatIsNotNvidiasIsSaidToBeAnEstimate) {
  const PlanTarget target = Chosen({.gpus = {"7900 XTX"}});
  ASSERT_FALSE(target.notes.empty());
  EXPECT_NE(target.notes[0].find("estimate"), std::string::npos) << target.notes[0];
}

TEST(TargetTest, AnUnknownCardNamesTheNearest) {
  const auto target = ChooseTarget({}, {.gpus = {"RTX 2061"}});
  ASSERT_FALSE(target.ok());
  EXPECT_EQ(target.error().code, Code::kNotFound);
  EXPECT_NE(target.error().hint.find("2060"), std::string::npos) << target.error().hint;
}

}  // namespace
}  // namespace trimma::target_test
