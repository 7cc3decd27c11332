#include "cli/through.h"

#include <gtest/gtest.h>

#include "cli/unused_cards.h"
#include "hardware/temp_tree.h"

namespace trimma {
namespace {

ThroughFacts WithCard() {
  ThroughFacts facts;
  facts.unused_cards = {"NVIDIA GeForce RTX 2060"};
  return facts;
}

TEST(ChooseThroughTest, WithoutSuchACardItIsOurOwn) {
  ThroughFacts facts;
  facts.in_ollama = true;
  facts.ollama = "0.12.3";
  facts.llama_server = "/usr/bin/llama-server";
  const ThroughChoice choice = ChooseThrough(facts);
  EXPECT_EQ(choice.through, Through::kOwn);
  EXPECT_EQ(choice.why, "");
}

TEST(ChooseThroughTest, AModelOfOllamasGoesThroughOllama) {
  ThroughFacts facts = WithCard();
  facts.in_ollama = true;
  facts.ollama = "0.12.3";
  facts.llama_server = "/usr/bin/llama-server";
  const ThroughChoice choice = ChooseThrough(facts);
  EXPECT_EQ(choice.through, Through::kOllama);
  EXPECT_EQ(choice.why,
            "trimma's own engine has no backend for the NVIDIA GeForce RTX 2060, Ollama 0.12.3 "
            "has");
  // What Ollama can't be asked, llama-server can: the model is a file in Ollama's store.
  facts.not_of_ollama = "--depth";
  EXPECT_EQ(ChooseThrough(facts).through, Through::kLlamaServer);
  facts.ollama.clear();
  EXPECT_EQ(ChooseThrough(facts).through, Through::kLlamaServer);
}

TEST(ChooseThroughTest, AFileGoesThroughLlamaServer) {
  ThroughFacts facts = WithCard();
  facts.ollama = "0.12.3";
  EXPECT_EQ(ChooseThrough(facts).through, Through::kOwn) << "Ollama doesn't have the file";
  EXPECT_NE(ChooseThrough(facts).why.find("no llama-server here uses it"), std::string::npos);
  facts.llama_server = "/usr/bin/llama-server";
  EXPECT_EQ(ChooseThrough(facts).through, Through::kLlamaServer);
  facts.not_of_server = "--depth";
  const ThroughChoice refused = ChooseThrough(facts);
  EXPECT_EQ(refused.through, Through::kOwn);
  EXPECT_NE(refused.why.find("--depth needs it"), std::string::npos) << refused.why;
}

Gpu Card(const std::string& name, const std::string& backend = "CUDA") {
  return {name, backend, 6ULL << 30, 5ULL << 30};
}

TEST(UnusedCardsTest, AreThoseTheEngineDoesNotName) {
  const std::vector<Gpu> both = {Card("NVIDIA GeForce RTX 2060"), Card("AMD card", "ROCm")};
  EXPECT_EQ(CardsNotUsed(both, {}).size(), 2U);
  const auto amd = CardsNotUsed(both, {Card("NVIDIA GeForce RTX 2060", "Vulkan")});
  EXPECT_TRUE(amd.empty()) << "AMD's has another name for each backend";
  const auto nvidia = CardsNotUsed(both, {Card("AMD Radeon RX 6600 (RADV NAVI23)", "Vulkan")});
  ASSERT_EQ(nvidia.size(), 1U);
  EXPECT_EQ(nvidia[0].name, "NVIDIA GeForce RTX 2060");
}

TEST(UnusedCardsTest, AmdsStandInTheKernelsTree) {
  const TempTree tree;
  tree.Write({{"class/drm/card1/device/vendor", "0x1002\n"},
              {"class/drm/card1/device/mem_info_vram_total", "8573157376\n"},
              {"class/drm/card1/device/mem_info_vram_used", "73157376\n"},
              {"class/drm/card1/device/product_name", "Radeon RX 6600\n"},
              {"class/drm/card1-DP-1/device/vendor", "0x1002\n"},
              {"class/drm/card0/device/vendor", "0x1002\n"},
              {"class/drm/card0/device/mem_info_vram_total", "536870912\n"},
              {"class/drm/card2/device/vendor", "0x8086\n"}});
  const std::vector<Gpu> cards = DriverCards(tree / "");
  const auto found = std::find_if(cards.begin(), cards.end(),
                                  [](const Gpu& gpu) { return gpu.backend == "ROCm"; });
  ASSERT_NE(found, cards.end());
  EXPECT_EQ(found->name, "Radeon RX 6600");
  EXPECT_EQ(found->total_bytes, 8573157376U);
  EXPECT_EQ(found->free_bytes, 8500000000U);
  EXPECT_EQ(std::count_if(cards.begin(), cards.end(),
                          [](const Gpu& gpu) { return gpu.backend == "ROCm"; }),
            1)
      << "graphics of a processor are no card";
}

TEST(UnusedCardsTest, TheUserIsToldWhatUsesItOrWhatToInstall) {
  const std::vector<Gpu> cards = {Card("NVIDIA GeForce RTX 2060")};
  const auto nothing = ExplainUnused(cards, std::nullopt, "");
  ASSERT_EQ(nothing.size(), 1U);
  EXPECT_EQ(nothing[0].through, "");
  EXPECT_NE(nothing[0].said.find("install a llama-server"), std::string::npos);
  LlamaServerProgram server;
  server.path = "/usr/bin/llama-server";
  EXPECT_EQ(ExplainUnused(cards, server, "")[0].through, "") << "it computes on the processors";
  server.devices = {{"CUDA0", "NVIDIA GeForce GTX 1060"}};
  EXPECT_EQ(ExplainUnused(cards, server, "")[0].through, "") << "another card";
  server.devices = {{"CUDA0", "NVIDIA GeForce RTX 2060"}};
  const auto both = ExplainUnused(cards, server, "0.12.3");
  EXPECT_EQ(both[0].through, "llama-server");
  EXPECT_NE(both[0].said.find("Ollama 0.12.3"), std::string::npos);
  EXPECT_EQ(ExplainUnused(cards, std::nullopt, "0.12.3")[0].through, "ollama");
  EXPECT_TRUE(ExplainUnused({}, server, "0.12.3").empty());
}

}  // namespace
}  // namespace trimma
