#include "hardware/cards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace trimma::cards_test {
namespace {

std::string Found(const std::string& name) {
  const Result<Card> card = FindCard(name);
  return card.ok() ? card->name : std::string(CodeName(card.error().code));
}

std::string Hint(const std::string& name) {
  const Result<Card> card = FindCard(name);
  return card.ok() ? std::string("found ") + card->name : card.error().hint;
}

uint64_t Estimate(Card card) {
  card.reported_mib = 0;
  return ReportedBytes(card).bytes >> 20;
}

TEST(CardsTest, EveryRowIsPlausible) {
  std::set<std::string> names;
  for (const Card& card : Cards()) {
    const std::string name = card.name;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_GE(card.memory_mib, 2048u) << name;
    EXPECT_LE(card.memory_mib, 512u * 1024) << name;
    EXPECT_EQ(card.memory_mib % 1024, 0u) << name;
    EXPECT_GE(card.bandwidth_gb_per_s, 60) << name;
    EXPECT_LE(card.bandwidth_gb_per_s, 8000) << name;
    EXPECT_NE(std::string(card.source), "") << name;
    if (card.tensor_tflops != 0) {
      EXPECT_GE(card.tensor_tflops, 1.8) << name;
      EXPECT_LE(card.tensor_tflops, 2250) << name;
      // Operations per byte: 17 of a GTX 1050, 453 of an RTX 5000 Ada.
      const double per_byte = card.tensor_tflops * 1000 / card.bandwidth_gb_per_s;
      EXPECT_GE(per_byte, 10) << name;
      EXPECT_LE(per_byte, 460) << name;
    }
  }
}

TEST(CardsTest, NvidiaCardsAloneHaveACapability) {
  const std::set<int> known = {600, 610, 700, 750, 800, 860, 870, 890, 900, 1000, 1200, 1210};
  for (const Card& card : Cards()) {
    if (card.vendor == Vendor::kNvidia) {
      EXPECT_TRUE(known.contains(card.compute_capability)) << card.name;
    } else {
      EXPECT_EQ(card.compute_capability, 0) << card.name;
    }
  }
}

TEST(CardsTest, EachRowIsFoundByItsOwnName) {
  for (const Card& card : Cards()) {
    const std::string name = card.name;
    EXPECT_EQ(Found(name), name);
    EXPECT_EQ(Found(name.substr(0, name.find(" ("))), name);
  }
}

TEST(CardsTest, KnowsTheRtx2060) {
  const Result<Card> card = FindCard("RTX 2060");
  ASSERT_TRUE(card.ok());
  EXPECT_STREQ(card->name, "NVIDIA GeForce RTX 2060");
  EXPECT_EQ(card->memory_mib, 6144u);
  EXPECT_EQ(card->compute_capability, 750);
  EXPECT_EQ(card->bandwidth_gb_per_s, 336);
  EXPECT_TRUE(ReportedBytes(*card).measured);
  EXPECT_EQ(ReportedBytes(*card).bytes, 5738ull << 20);
}

TEST(CardsTest, SpellingDoesNotMatter) {
  for (const char* name : {"2060", "rtx2060", "RTX-2060", "rtx 2060 6gb", "rtx2060_6GiB", "2060 6g",
                           "geforce 2060", " NVIDIA GeForce  RTX 2060 ", "nvidia rtx 2060 gpu"}) {
    EXPECT_EQ(Found(name), "NVIDIA GeForce RTX 2060") << name;
  }
  EXPECT_EQ(Found("4070 ti super"), "NVIDIA GeForce RTX 4070 Ti SUPER");
  EXPECT_EQ(Found("rtx4070tisuper"), "NVIDIA GeForce RTX 4070 Ti SUPER");
  EXPECT_EQ(Found("a4000"), "NVIDIA RTX A4000");
  EXPECT_EQ(Found("rtx 6000 ada"), "NVIDIA RTX 6000 Ada Generation");
  EXPECT_EQ(Found("rtx pro 6000"), "NVIDIA RTX PRO 6000 Blackwell Workstation Edition");
  EXPECT_EQ(Found("t4"), "Tesla T4");
  EXPECT_EQ(Found("p40 24gb"), "Tesla P40");
  EXPECT_EQ(Found("7900xtx"), "AMD Radeon RX 7900 XTX");
  EXPECT_EQ(Found("Intel(R) Arc(TM) A770 Graphics"), "Intel Arc A770");
  EXPECT_EQ(Found("b580"), "Intel Arc B580");
  EXPECT_EQ(Found("dgx spark"), "NVIDIA GB10 (DGX Spark)");
  EXPECT_EQ(Found("strix halo"), "AMD Radeon 8060S 128GB (Strix Halo)");
}

TEST(CardsTest, AllOfTheNameCounts) {
  EXPECT_EQ(Found("3060"), "NVIDIA GeForce RTX 3060");
  EXPECT_EQ(Found("3060 ti"), "NVIDIA GeForce RTX 3060 Ti");
  EXPECT_EQ(Found("4070"), "NVIDIA GeForce RTX 4070");
  EXPECT_EQ(Found("4070 super"), "NVIDIA GeForce RTX 4070 SUPER");
  EXPECT_EQ(Found("l40"), "NVIDIA L40");
  EXPECT_EQ(Found("l40s"), "NVIDIA L40S");
  EXPECT_EQ(Found("a10"), "NVIDIA A10");
  EXPECT_EQ(Found("a10g"), "NVIDIA A10G");
  EXPECT_EQ(Found("titan"), "not-found");
  EXPECT_EQ(Found("titan rtx"), "NVIDIA TITAN RTX");
  EXPECT_EQ(Found("gtx 2060"), "not-found");
  EXPECT_EQ(Found("rtx 6000"), "not-found");
  EXPECT_EQ(Found("7900"), "not-found");
}

TEST(CardsTest, ASizePicksTheVariant) {
  EXPECT_EQ(Found("2060 12gb"), "NVIDIA GeForce RTX 2060 12GB");
  EXPECT_EQ(Found("rtx 3060 8 GB"), "NVIDIA GeForce RTX 3060 8GB");
  EXPECT_EQ(Found("4060ti"), "NVIDIA GeForce RTX 4060 Ti");
  EXPECT_EQ(Found("4060ti 16"), "NVIDIA GeForce RTX 4060 Ti 16GB");
  EXPECT_EQ(Found("1060"), "NVIDIA GeForce GTX 1060 6GB");
  EXPECT_EQ(Found("1060 3gb"), "NVIDIA GeForce GTX 1060 3GB");
  EXPECT_EQ(Found("2060 13gb"), "not-found");
}

TEST(CardsTest, TheFirstVariantIsTheDefault) {
  EXPECT_EQ(Found("a100"), "NVIDIA A100-SXM4-40GB");
  EXPECT_EQ(Found("a100 80gb"), "NVIDIA A100-SXM4-80GB");
  EXPECT_EQ(Found("a100 pcie 80"), "NVIDIA A100 80GB PCIe");
  EXPECT_EQ(Found("v100"), "Tesla V100-SXM2-16GB");
  EXPECT_EQ(Found("h100"), "NVIDIA H100 SXM 80GB HBM3");
  EXPECT_EQ(Found("h100 sxm5"), "NVIDIA H100 SXM 80GB HBM3");
  EXPECT_EQ(Found("NVIDIA H100 80GB HBM3"), "NVIDIA H100 SXM 80GB HBM3");
  EXPECT_EQ(Found("h100 pcie"), "NVIDIA H100 PCIe");
  EXPECT_EQ(Found("h100 94gb"), "NVIDIA H100 NVL");
  EXPECT_EQ(Found("H200 SXM"), "NVIDIA H200 SXM");
  EXPECT_EQ(Found("m3 max"), "Apple M3 Max 36GB");
  EXPECT_EQ(Found("M3Max 64GB"), "Apple M3 Max 64GB");
  EXPECT_EQ(Found("m1"), "Apple M1 8GB");
}

TEST(CardsTest, LaptopCardsAreAskedForOrTheOnlyOnes) {
  EXPECT_EQ(Found("2060 laptop"), "NVIDIA GeForce RTX 2060 Laptop GPU");
  EXPECT_EQ(Found("2060 mobile"), "NVIDIA GeForce RTX 2060 Laptop GPU");
  EXPECT_EQ(Found("RTX 2060 with Max-Q Design"), "NVIDIA GeForce RTX 2060 Laptop GPU");
  EXPECT_EQ(Found("laptop 3080 16gb"), "NVIDIA GeForce RTX 3080 Laptop GPU 16GB");
  EXPECT_EQ(Found("3050 6gb"), "NVIDIA GeForce RTX 3050 6GB");
  EXPECT_EQ(Found("3050 6gb laptop"), "NVIDIA GeForce RTX 3050 6GB Laptop GPU");
  EXPECT_EQ(Found("4050"), "NVIDIA GeForce RTX 4050 Laptop GPU");
  EXPECT_EQ(Found("4090 16gb"), "NVIDIA GeForce RTX 4090 Laptop GPU");
  EXPECT_EQ(Found("4090"), "NVIDIA GeForce RTX 4090");
}

TEST(CardsTest, NamesTheNearestCards) {
  const Result<Card> card = FindCard("xyz");
  ASSERT_FALSE(card.ok());
  EXPECT_EQ(card.error().code, Code::kNotFound);
  EXPECT_EQ(card.error().what, "there is no card \"xyz\" in the catalogue");
  EXPECT_EQ(card.error().hint, "--vram SIZE plans for a card of any size");

  EXPECT_EQ(Hint("rtx 2061").find("did you mean NVIDIA GeForce RTX 2060 or "), 0u);
  EXPECT_EQ(Hint("rtx 4909").find("did you mean NVIDIA GeForce RTX 4090 or "), 0u);
  EXPECT_EQ(Hint("3060 tie").find("did you mean NVIDIA GeForce RTX 3060 Ti"), 0u);
  EXPECT_EQ(Hint("2060 13gb"),
            "did you mean NVIDIA GeForce RTX 2060 or NVIDIA GeForce RTX 2060 12GB or NVIDIA "
            "GeForce RTX 2060 SUPER? --vram SIZE plans for a card of any size");
  EXPECT_EQ(Hint("7900"),
            "did you mean AMD Radeon RX 7900 GRE or AMD Radeon RX 7900 XT or AMD Radeon RX 7900 "
            "XTX? --vram SIZE plans for a card of any size");
}

TEST(CardsTest, StrangeNamesAreNotFound) {
  for (const std::string& name :
       {std::string(), std::string("nvidia"), std::string("rtx"), std::string("gb"),
        std::string("16gb"), std::string("\x1b[31m"), std::string("2060\0", 5) + "x",
        std::string(100000, '9'), std::string(100000, 'a')}) {
    EXPECT_EQ(Found(name), "not-found");
  }
  EXPECT_EQ(FindCard("\x1b[31m").error().what, "there is no card \"?[31m\" in the catalogue");
}

TEST(CardsTest, TheDriverReportsLessThanIsSold) {
  for (const Card& card : Cards()) {
    const ReportedMemory memory = ReportedBytes(card);
    const double share =
        static_cast<double>(memory.bytes >> 20) / static_cast<double>(card.memory_mib);
    EXPECT_EQ(memory.measured, card.reported_mib != 0) << card.name;
    EXPECT_EQ(memory.measured, std::string(card.reading) != "") << card.name;
    EXPECT_LT(share, 1) << card.name;
    EXPECT_GT(share, card.vendor == Vendor::kApple || card.memory_mib == 131072 ? 0.49 : 0.84)
        << card.name;
  }
}

TEST(CardsTest, TheEstimateIsNearTheReadings) {
  int readings = 0;
  for (const Card& card : Cards()) {
    const bool unified = card.compute_capability == 870 || card.compute_capability == 1210 ||
                         std::string(card.name).find("8060S") != std::string::npos;
    if (card.reported_mib == 0 || unified) continue;
    ++readings;
    const int64_t off = static_cast<int64_t>(Estimate(card)) - card.reported_mib;
    const int64_t most = std::max<int64_t>(60, card.memory_mib / 200);
    EXPECT_LE(std::abs(off), most) << card.name << ": " << off;
  }
  EXPECT_GE(readings, 50);
}

int Multiprocessors(const std::string& name) {
  const Result<Card> card = FindCard(name);
  return card.ok() ? card->multiprocessors : -1;
}

uint64_t StackMiB(const std::string& name) {
  const Result<Card> card = FindCard(name);
  return card.ok() ? ContextStackBytes(*card) >> 20 : 0;
}

TEST(CardsTest, KnowsTheMultiprocessors) {
  EXPECT_EQ(Multiprocessors("1060 6gb"), 10);
  EXPECT_EQ(Multiprocessors("1080"), 20);
  EXPECT_EQ(Multiprocessors("2060"), 30);
  EXPECT_EQ(Multiprocessors("3060"), 28);
  EXPECT_EQ(Multiprocessors("3060 laptop"), 30);
  EXPECT_EQ(Multiprocessors("3090"), 82);
  EXPECT_EQ(Multiprocessors("4090"), 128);
  EXPECT_EQ(Multiprocessors("4090 laptop"), 76);
  EXPECT_EQ(Multiprocessors("5090"), 170);
  EXPECT_EQ(Multiprocessors("t4"), 40);
  EXPECT_EQ(Multiprocessors("a10g"), 80);
  EXPECT_EQ(Multiprocessors("a100"), 108);
  EXPECT_EQ(Multiprocessors("h100 pcie"), 114);
  EXPECT_EQ(Multiprocessors("h100 sxm"), 132);
  EXPECT_EQ(Multiprocessors("b200"), 148);
  EXPECT_EQ(Multiprocessors("l4"), 58);
  EXPECT_EQ(Multiprocessors("l40s"), 142);
  EXPECT_EQ(Multiprocessors("7900 xtx"), 0);
}

TEST(CardsTest, NvidiaCardsAloneHaveMultiprocessors) {
  for (const Card& card : Cards()) {
    if (card.vendor == Vendor::kNvidia) {
      EXPECT_GE(card.multiprocessors, 1) << card.name;
      EXPECT_LE(card.multiprocessors, 200) << card.name;
      // From Volta on two of them are a unit, and a card has all or none of it.
      if (card.compute_capability >= 700) {
        EXPECT_EQ(card.multiprocessors % 2, 0) << card.name;
      }
    } else {
      EXPECT_EQ(card.multiprocessors, 0) << card.name;
    }
  }
}

// No card has more than the whole chip of its generation.
TEST(CardsTest, MultiprocessorsFitTheChip) {
  const std::map<int, int> whole = {{600, 60},  {610, 30},   {700, 84},   {750, 72},
                                    {800, 128}, {860, 84},   {870, 16},   {890, 144},
                                    {900, 144}, {1000, 160}, {1200, 192}, {1210, 48}};
  for (const Card& card : Cards()) {
    if (card.vendor != Vendor::kNvidia) continue;
    EXPECT_LE(card.multiprocessors, whole.at(card.compute_capability)) << card.name;
  }
}

TEST(CardsTest, BetterCardsHaveMoreMultiprocessors) {
  const std::vector<std::vector<std::string>> lines = {
      {"1050", "1050 ti", "1060 3gb", "1060 6gb", "1070", "1070 ti", "1080", "1080 ti", "titan xp"},
      {"1630", "1650", "1650 super", "1660", "1660 ti"},
      {"2060", "2060 super", "2070", "2070 super", "2080", "2080 super", "2080 ti", "titan rtx"},
      {"3050 6gb", "3050", "3060", "3060 ti", "3070", "3070 ti", "3080", "3080 12gb", "3080 ti",
       "3090", "3090 ti"},
      {"4060", "4060 ti", "4070", "4070 super", "4070 ti", "4070 ti super", "4080", "4080 super",
       "4090 d", "4090"},
      {"5050", "5060", "5060 ti", "5070", "5070 ti", "5080", "5090"},
      {"1050 ti laptop", "1060 laptop", "1070 laptop", "1080 laptop"},
      {"2060 laptop", "2070 laptop", "2070 super laptop", "2080 laptop", "2080 super laptop"},
      {"3050 laptop", "3050 ti laptop", "3060 laptop", "3070 laptop", "3070 ti laptop",
       "3080 laptop", "3080 ti laptop"},
      {"4050 laptop", "4060 laptop", "4070 laptop", "4080 laptop", "4090 laptop"},
      {"5050 laptop", "5060 laptop", "5070 laptop", "5070 ti laptop", "5080 laptop", "5090 laptop"},
      {"rtx a400", "a1000", "a2000", "a4000", "a4500", "a5000", "a5500", "a6000"},
      {"2000 ada", "4000 ada", "4500 ada", "5000 ada", "6000 ada"},
      {"pro 4000", "pro 4500", "pro 5000", "pro 6000"},
  };
  for (const std::vector<std::string>& line : lines) {
    for (size_t i = 0; i + 1 < line.size(); ++i) {
      EXPECT_GT(Multiprocessors(line[i]), 0) << line[i];
      EXPECT_LT(Multiprocessors(line[i]), Multiprocessors(line[i + 1])) << line[i + 1];
    }
  }
}

// Operations that a multiprocessor does in a clock, by the way tensor_tflops counts.
int OperationsPerClock(const Card& card) {
  const std::string name = card.name;
  const int capability = card.compute_capability;
  if (capability < 700 || name.find("GTX 16") != std::string::npos) return 256;
  // GeForce cards do FP32 accumulate at half rate; so do these two.
  const bool half =
      name.find("GeForce") != std::string::npos || name == "NVIDIA A10G" || name == "NVIDIA L40";
  if (half) return 512;
  if (capability == 800 || capability == 870) return 2048;
  if (capability == 900) return 4096;
  return capability == 1000 ? 8192 : 1024;
}

// A rate by its multiprocessors must be a clock.
TEST(CardsTest, TheRateIsThatOfTheMultiprocessors) {
  int rates = 0;
  for (const Card& card : Cards()) {
    if (card.multiprocessors == 0 || card.tensor_tflops == 0) continue;
    ++rates;
    const double ghz =
        card.tensor_tflops * 1000 / (card.multiprocessors * OperationsPerClock(card));
    const std::string name = card.name;
    const bool geforce = name.find("GeForce") != std::string::npos;
    const bool fast = card.compute_capability == 890 || card.compute_capability >= 1200;
    // GeForce: 1.37 (GTX 1050 Ti) to 1.86 (3090 Ti), since Ada 2.18 (4070 Laptop) to 2.72 (5090
    // Laptop). Others: 1.04 (Orin Nano) to 1.86 (B200), since Ada 1.56 (4000 SFF) to 2.62.
    EXPECT_GE(ghz, geforce ? (fast ? 2.15 : 1.35) : (fast ? 1.55 : 1.03)) << name;
    EXPECT_LE(ghz, fast ? 2.75 : 1.88) << name;
  }
  EXPECT_GE(rates, 130);
}

TEST(CardsTest, TheStackOfAContext) {
  EXPECT_EQ(StackMiB("h100 sxm"), 264u);  // 2048 threads
  EXPECT_EQ(StackMiB("1080"), 40u);
  EXPECT_EQ(StackMiB("v100"), 160u);
  EXPECT_EQ(StackMiB("a100"), 216u);
  EXPECT_EQ(StackMiB("b200"), 296u);
  EXPECT_EQ(StackMiB("2060"), 30u);  // 1024
  EXPECT_EQ(StackMiB("t4"), 40u);
  EXPECT_EQ(StackMiB("3090"), 123u);  // 1536
  EXPECT_EQ(StackMiB("agx orin"), 24u);
  EXPECT_EQ(StackMiB("4090"), 192u);
  EXPECT_EQ(StackMiB("5090"), 255u);
  EXPECT_EQ(StackMiB("gb10"), 72u);
  EXPECT_EQ(StackMiB("7900 xtx"), 0u);

  Card card = *FindCard("2060");
  card.multiprocessors = 0;
  EXPECT_EQ(ContextStackBytes(card), 0u);
}

}  // namespace
}  // namespace trimma::cards_test
