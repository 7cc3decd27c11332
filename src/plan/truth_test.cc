// Cells that the engine's own tool printed on real cards (tests/data/README.md), priced here
// without one: every figure the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "base/text.h"
#include "engine/engine.h"
#include "hardware/cards.h"
#include "plan/pricer.h"

namespace trimma {
namespace {

struct TruthCell {
  RuntimeSettings settings;
  std::string result;  // "CUDA0 0 0 1070  Host 2368 254 15", or "refused"
  std::string line;
};

FlashAttention Flash(const std::string& word) {
  return word == "on"    ? FlashAttention::kOn
         : word == "off" ? FlashAttention::kOff
                         : FlashAttention::kAuto;
}

// By model.
std::map<std::string, std::vector<TruthCell>> ReadTruth(const std::string& name) {
  std::map<std::string, std::vector<TruthCell>> cells;
  const auto text = ReadSmallFile(fmt::format("{}/tests/data/{}", TRIMMA_SOURCE_DIR, name));
  if (!text.ok()) ADD_FAILURE() << text.error().what;
  for (const std::string& line : Split(text.ok() ? *text : "", '\n')) {
    const std::vector<std::string> word = Split(line, ',');
    if (word.size() != 7 || word[0] == "model") continue;
    TruthCell cell;
    cell.line = line;
    cell.settings.gpu_layers = std::stoi(word[1]);
    cell.settings.context = static_cast<uint32_t>(std::stoul(word[2]));
    cell.settings.flash_attention = Flash(word[3]);
    const size_t slash = word[4].find('/');
    cell.settings.kv_k = word[4].substr(0, slash);
    cell.settings.kv_v =
        slash == std::string::npos ? cell.settings.kv_k : word[4].substr(slash + 1);
    cell.settings.ubatch = static_cast<uint32_t>(std::stoul(word[5]));
    for (const std::string& part : Split(word[6], ' ')) {
      if (!part.empty()) cell.result += (cell.result.empty() ? "" : " ") + part;
    }
    cells[word[0]].push_back(cell);
  }
  return cells;
}

// As common_fit_print prints it: whole MiB, rounded down.
std::string Printed(const PricedCell& cell) {
  std::string text;
  for (size_t i = 0; i < cell.devices.size(); ++i) {
    const DeviceBytes& d = cell.devices[i];
    const bool host = i + 1 == cell.devices.size();
    text +=
        fmt::format("{}{} {} {} {}", i == 0 ? "" : " ", host ? "Host" : fmt::format("CUDA{}", i),
                    d.weights_bytes >> 20, d.kv_bytes >> 20, d.compute_bytes >> 20);
  }
  return text;
}

void ExpectEqualTo(const std::string& table, const std::string& card_name, size_t least) {
  const auto card = FindCard(card_name);
  ASSERT_TRUE(card.ok() && StartEngine().ok());
  PricingTarget target;
  target.bench_outputs = true;
  const uint64_t bytes = ReportedBytes(*card).bytes;
  target.cards = {PhantomCard{card->name, card->compute_capability, bytes, bytes}};
  const std::vector<Mix> as_is(1);
  size_t equal = 0;
  for (const auto& [model, cells] : ReadTruth(table)) {
    const auto file = ReadGguf(fmt::format("{}/{}.gguf", TRIMMA_GHOSTS, model));
    ASSERT_TRUE(file.ok()) << file.error().what;
    Pricer pricer(*file, as_is, target);
    for (const TruthCell& cell : cells) {
      const auto priced = pricer.At(0, cell.settings);
      const std::string printed = priced.ok() ? Printed(*priced) : "refused";
      EXPECT_EQ(printed, cell.result) << cell.line << (priced.ok() ? "" : priced.error().what);
      equal += printed == cell.result ? 1 : 0;
    }
  }
  EXPECT_GE(equal, least);
}

TEST(TruthTest, AnH200ThatIsNotThereTakesWhatAnH200Took) {
  ExpectEqualTo("h200-truth.csv", "H200", 177);
}

TEST(TruthTest, ThirtySixShapesTakeOnAnH100WhatTheyTook) {
  ExpectEqualTo("h100-truth.csv", "H100", 792);
}

}  // namespace
}  // namespace trimma
