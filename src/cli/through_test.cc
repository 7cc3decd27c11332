#include "cli/through.h"

#include <gtest/gtest.h>

#include "cli/unused_cards.h"
#include "hardware/temp_tree.h"

namespace trimma::through_test {
namespace {

ThroughFacts WithCard() {
  ThroughFacts facts;
  facts.unused_cards = {"NVIDIA GeForce RTX 2060"};
  return facts;
}

TEST(ChooseThroughTest, WithoutSuchACardItIsOurOwn) {
  ThroughFacts facts;
  facts.in_ollama = true;
  facts.ollama = LocalOllama{"0.12.3", false};
  facts.llama_server = "/usr/bin/llama-server";
  const ThroughChoice choice = ChooseThrough(facts);
  EXPECT_EQ(choice.through, Through::kOwn);
  EXPECT_EQ(choice.why, "");
}

TEST(ChooseThroughTest, AModelOfOllamasGoesThroughOllama) {
  ThroughFacts facts = WithCard();
  facts.in_ollama = true;
  facts.ollama = LocalOllama{"0.12.3", false};
  facts.llama_server = "/usr/bin/llama-server";
  const ThroughChoice choice = ChooseThrough(facts);
  EXPECT_EQ(choice.through, Through::kOllama);
  EXPECT_EQ(choice.why,
            "trimma's own engine has no backend for the NVIDIA GeForce RTX 2060, Ollama 0.12.3 "
            "may use it");
  facts.ollama->uses_card = true;
  EXPECT_TRUE(ChooseThrough(facts).why.ends_with("Ollama 0.12.3 uses a card"));
  // What Ollama can't be asked, llama-server can: the model is a file in Ollama's store.
  facts.why_not_ollama = "--depth needs it";
  EXPECT_EQ(ChooseThrough(facts).through, Through::kLlamaServer);
  facts.ollama.reset();
  EXPECT_EQ(ChooseThrough(facts).through, Through::kLlamaServer);
}

TEST(ChooseThroughTest, AFileGoesThroughLlamaServer) {
  ThroughFacts facts = WithCard();
  facts.ollama = LocalOllama{"0.12.3", false};
  EXPECT_EQ(ChooseThrough(facts).through, Through::kOwn) << "Ollama doesn't have the file";
  EXPECT_NE(ChooseThrough(facts).why.find("no llama-server here uses it"), std::string::npos);
  facts.llama_server = "/usr/bin/llama-server";
  EXPECT_EQ(ChooseThrough(facts).through, Through::kLlamaServer);
  facts.why_not_server = "--depth needs it";
  const ThroughChoice refused = ChooseThrough(facts);
  EXPECT_EQ(refused.through, Through::kOwn);
  EXPECT_NE(refused.why.find("--depth needs it"), std::string::npos) << refused.why;
}

TEST(ChooseThroughTest, WhatOnlyOursDoesStaysWithIt) {
  ThroughFacts facts = WithCard();
  facts.llama_server = "/usr/bin/llama-server";
  facts.own_alone = "only it measures quality";
  const ThroughChoice choice = ChooseThrough(facts);
  EXPECT_EQ(choice.through, Through::kOwn);
  EXPECT_EQ(choice.why,
            "trimma's own engine has no backend for the NVIDIA GeForce RTX 2060, but only it "
            "measures quality");
}

TEST(ChooseThroughTest, AServerThatCannotBeAskedIsSaid) {
  ThroughFacts facts = WithCard();
  facts.server_note = "/usr/bin/llama-server --help ended with status 127";
  EXPECT_NE(ChooseThrough(facts).why.find("can't be asked: /usr/bin/llama-server --help"),
            std::string::npos);
}

Gpu Card(const std::string& name, const std::string& backend = "CUDA") {
  return {name, backend, 6ULL << 30, 5ULL << 30};
}

TEST(UnusedCardsTest, AreThoseTheEngineDoesNotName) {
  const std::vector<Gpu> both = {Card("NVIDIA GeForce RTX 2060"), Card("AMD card", "ROCm")};
  EXPECT_EQ(CardsNotUsed(both, {}).size(), 2U);
  const auto amd = CardsNotUsed(both, {Card("NVIDIA GeForce RTX 2060", "Vulkan")});
  EXPECT_EQ(amd.size(), 1U) << "the engine has none of AMD's";
  const auto nvidia = CardsNotUsed(both, {Card("AMD Radeon RX 6600 (RADV NAVI23)", "Vulkan")});
  ASSERT_EQ(nvidia.size(), 1U);
  EXPECT_EQ(nvidia[0].name, "NVIDIA GeForce RTX 2060") << "AMD's has a name for each backend";
}

TEST(UnusedCardsTest, OneThatIsHiddenHasABackend) {
  const std::vector<Gpu> two = {Card("NVIDIA H100"), Card("NVIDIA RTX A400")};
  EXPECT_TRUE(CardsNotUsed(two, {Card("NVIDIA H100")}).empty());
  EXPECT_EQ(CardsNotUsed(two, {Card("NVIDIA H100", "Vulkan")}).size(), 1U);
}

TEST(WhyNotTest, WhatTheOtherWouldRefuseStaysWithOurs) {
  ThroughQuestion question;
  LlamaServerProgram server;
  for (const char* option : {"--model", "--ctx-size", "--batch-size", "--ubatch-size", "--threads",
                             "--cache-type-k", "--cache-type-v", "--flash-attn"})
    server.options[option] = {"N"};
  EXPECT_EQ(WhyNotOllama(question), "");
  EXPECT_EQ(WhyNotServer(question, server), "");
  question.runtime.no_repack = true;
  EXPECT_NE(WhyNotOllama(question).find("repacks"), std::string::npos);
  EXPECT_NE(WhyNotServer(question, server).find("knows no --no-repack"), std::string::npos)
      << WhyNotServer(question, server);
  question.not_of_ollama = question.not_of_server = "--depth";
  EXPECT_EQ(WhyNotOllama(question), "--depth needs it");
  EXPECT_EQ(WhyNotServer(question, server), "--depth needs it");
}

TEST(UnusedCardsTest, AnEngineWithACardKeepsTheWork) {
  const std::vector<Gpu> two = {Card("NVIDIA H100"), Card("NVIDIA H100 PCIe")};
  EXPECT_EQ(CardsForOthers(two, {}).size(), 2U);
  EXPECT_TRUE(CardsForOthers(two, {Card("NVIDIA H100")}).empty()) << "the other may be hidden";
}

TEST(UnusedCardsTest, AmdsAreKnownByDescriptionOrDevice) {
  EXPECT_TRUE(IsAmds("Vulkan0", "AMD Radeon RX 6600 (RADV NAVI23)"));
  EXPECT_TRUE(IsAmds("Vulkan0", "Radeon RX 6600"));
  EXPECT_TRUE(IsAmds("ROCm0", "gfx1032"));
  EXPECT_FALSE(IsAmds("CUDA0", "NVIDIA GeForce RTX 2060"));
  LlamaServerProgram server;
  server.devices = {{"CUDA0", "NVIDIA GeForce RTX 2060"}};
  EXPECT_FALSE(ServerUses(server, Card("Radeon RX 6600", "ROCm")));
  server.devices = {{"ROCm0", "gfx1032"}};
  EXPECT_TRUE(ServerUses(server, Card("Radeon RX 6600", "ROCm")));
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
  const auto nothing = ExplainUnused(cards, std::nullopt, std::nullopt);
  ASSERT_EQ(nothing.size(), 1U);
  EXPECT_EQ(nothing[0].through, "");
  EXPECT_NE(nothing[0].said.find("install a llama-server"), std::string::npos);
  LlamaServerProgram server;
  server.path = "/usr/bin/llama-server";
  EXPECT_EQ(ExplainUnused(cards, server, std::nullopt)[0].through, "")
      << "it computes on the processors";
  server.devices = {{"CUDA0", "NVIDIA GeForce GTX 1060"}};
  EXPECT_EQ(ExplainUnused(cards, server, std::nullopt)[0].through, "") << "another card";
  server.devices = {{"CUDA0", "NVIDIA GeForce RTX 2060"}};
  const LocalOllama ollama{"0.12.3", false};
  const auto both = ExplainUnused(cards, server, ollama);
  EXPECT_EQ(both[0].through, "llama-server");
  EXPECT_NE(both[0].said.find("Ollama 0.12.3, which may use it"), std::string::npos);
  EXPECT_EQ(ExplainUnused(cards, std::nullopt, ollama)[0].through, "ollama");
  EXPECT_TRUE(ExplainUnused({}, server, ollama).empty());
}

}  // namespace
}  // namespace trimma::through_test
