#include "cli/card_placing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gguf/reader.h"

namespace trimma::card_placing_test {
namespace {

const std::string kGemma = std::string(TRIMMA_GHOSTS) + "/g4b.gguf";  // 2.5 GB

GgufFile Gemma() {
  auto file = ReadGguf(kGemma);
  CHECK(file.ok());
  return *std::move(file);
}

// A machine with an RTX 2060 of which so much is free; "": with no card.
Site With(const std::string& free) {
  Site site;
  site.scan.machine.memory.total_bytes = site.scan.machine.memory.available_bytes = 16ULL << 30;
  if (free.empty()) {
    site.target.machine = site.scan.machine;
    return site;
  }
  auto target = ChooseTarget(site.scan.machine, {.gpus = {"rtx 2060"}, .vram = {free}});
  CHECK(target.ok());
  site.target = *std::move(target);
  return site;
}

RuntimeSettings WithContext(uint32_t context) {
  RuntimeSettings settings;
  settings.context = context;
  return settings;
}

TEST(CardPlacingTest, WhatFitsIsWhollyOnTheCard) {
  const auto placing = PlaceOnCards(Gemma(), With("5GiB"), WithContext(4096));
  ASSERT_TRUE(placing.ok()) << placing.error().what;
  EXPECT_TRUE(placing->whole);
  EXPECT_TRUE(placing->settings.use_gpu);
  EXPECT_EQ(placing->settings.gpu_layers, 35);
  EXPECT_TRUE(placing->other.placed.empty());
  EXPECT_EQ(placing->note, "");
}

TEST(CardPlacingTest, WhatDoesNotFitIsDividedAndOtherPlacementsAreToBeTried) {
  const auto placing = PlaceOnCards(Gemma(), With("2.5GiB"), WithContext(4096));
  ASSERT_TRUE(placing.ok()) << placing.error().what;
  EXPECT_FALSE(placing->whole);
  ASSERT_TRUE(placing->settings.gpu_layers.has_value());
  EXPECT_LT(*placing->settings.gpu_layers, 35);
  EXPECT_GT(*placing->settings.gpu_layers, 0);
  EXPECT_FALSE(placing->other.placed.empty());
  EXPECT_EQ(placing->note,
            fmt::format("the graphics cards hold {} of 35 layers", *placing->settings.gpu_layers));
}

TEST(CardPlacingTest, TheUsersOwnWishesStay) {
  RuntimeSettings wished = WithContext(4096);
  wished.gpu_layers = 7;
  EXPECT_EQ(PlaceOnCards(Gemma(), With("5GiB"), wished)->settings, wished);
  wished.gpu_layers.reset();
  wished.use_gpu = false;
  EXPECT_EQ(PlaceOnCards(Gemma(), With("5GiB"), wished)->settings, wished);
  EXPECT_EQ(PlaceOnCards(Gemma(), With(""), WithContext(4096))->settings, WithContext(4096));
}

TEST(CardPlacingTest, WhatFitsNowhereIsMeasuredOnTheHost) {
  Site site = With("1GiB");
  site.target.machine.memory.available_bytes = 64 << 20;
  EXPECT_EQ(PlaceOnCards(Gemma(), site, WithContext(4096)).error().code, Code::kNoFit);
  const auto placing = PlacedForMeasuring(Gemma(), site, WithContext(4096));
  ASSERT_TRUE(placing.ok());
  EXPECT_FALSE(placing->settings.use_gpu);
  EXPECT_EQ(placing->note.find("left to the processor: "), 0U);
}

TEST(CardPlacingTest, MeasuringNeedsNoMoreContextThanTheModelHas) {
  const RuntimeSettings wished = WithContext(1 << 20);
  EXPECT_EQ(PlaceOnCards(Gemma(), With("5GiB"), wished).error().code, Code::kUsage);
  const auto placing = PlacedForMeasuring(Gemma(), With("5GiB"), wished);
  ASSERT_TRUE(placing.ok());
  EXPECT_TRUE(placing->settings.use_gpu);
  EXPECT_TRUE(placing->settings.gpu_layers.has_value());
  EXPECT_EQ(placing->settings.context, wished.context);
}

TEST(CardPlacingTest, ModelsStayLoadedTogetherOnlyWhereTheCardHoldsAll) {
  const auto resident = [](const std::vector<SpeedSubject>& subjects, const std::string& free) {
    SpeedOptions options;
    LoadAsCardsHold(subjects, With(free), options);
    EXPECT_EQ(options.load_repeats == 0, options.resident.has_value());
    return options.resident;
  };
  const SpeedSubject card = {kGemma, WithContext(4096)};
  SpeedSubject host = card;
  host.settings.use_gpu = false;
  EXPECT_EQ(resident({card}, "4GiB"), std::nullopt);
  EXPECT_EQ(resident({card, card}, "4GiB"), 1);
  EXPECT_EQ(resident({card, card}, ""), std::nullopt);
  EXPECT_EQ(resident({host, host}, "1GiB"), std::nullopt);
  EXPECT_EQ(resident({host, card}, "4GiB"), std::nullopt);
  EXPECT_EQ(resident({host, card, card}, "4GiB"), 1);
  EXPECT_EQ(resident({card, host}, "4GiB"), std::nullopt);
}

}  // namespace
}  // namespace trimma::card_placing_test
