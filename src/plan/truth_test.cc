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

namespace trimma::truth_test {
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

// Two cards share the layers by what is free on each, which the table doesn't have: 24 of the tool
// ran at once. So what the cards hold together counts (each figure of the table is rounded down),
// and each one's compute buffers, and the host.
void ExpectSharedAs(const std::string& printed, const TruthCell& cell) {
  const auto figures = [](const std::string& text) {
    std::vector<int64_t> numbers;
    for (const std::string& word : Split(text, ' ')) {
      if (!word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) != 0)
        numbers.push_back(std::stoll(word));
    }
    return numbers;
  };
  const auto ours = figures(printed);
  const auto theirs = figures(cell.result);
  ASSERT_EQ(ours.size(), theirs.size()) << cell.line << " " << printed;
  if (ours.empty()) return;  // refused
  ASSERT_EQ(ours.size(), 9U);
  for (const size_t kind : {0, 1})
    EXPECT_LE(std::abs(ours[kind] + ours[3 + kind] - theirs[kind] - theirs[3 + kind]), 2)
        << cell.line << " " << printed;
  for (const size_t exact : {2, 5, 6, 7, 8}) EXPECT_EQ(ours[exact], theirs[exact]) << cell.line;
}

TEST(TruthTest, TwoCardsHoldTogetherWhatTwoH100sHeld) {
  const auto card = FindCard("H100");
  ASSERT_TRUE(card.ok() && StartEngine().ok());
  PricingTarget target;
  target.bench_outputs = true;
  const uint64_t bytes = ReportedBytes(*card).bytes;
  target.cards =
      std::vector<PhantomCard>(2, PhantomCard{card->name, card->compute_capability, bytes, bytes});
  const std::vector<Mix> as_is(1);
  size_t compared = 0;
  size_t equal = 0;
  for (const auto& [model, cells] : ReadTruth("h100x2-truth.csv")) {
    const auto file = ReadGguf(fmt::format("{}/{}.gguf", TRIMMA_GHOSTS, model));
    ASSERT_TRUE(file.ok()) << file.error().what;
    Pricer pricer(*file, as_is, target);
    for (const TruthCell& cell : cells) {
      const auto priced = pricer.At(0, cell.settings);
      const std::string printed = priced.ok() ? Printed(*priced) : "refused";
      ExpectSharedAs(printed, cell);
      ++compared;
      equal += printed == cell.result ? 1 : 0;
    }
  }
  EXPECT_EQ(compared, 132U);
  EXPECT_GE(equal, 116U) << "the boundary too";
}

TEST(TruthTest, AnH200ThatIsNotThereTakesWhatAnH200Took) {
  ExpectEqualTo("h200-truth.csv", "H200", 177);
}

TEST(TruthTest, ThirtySixShapesTakeOnAnH100WhatTheyTook) {
  ExpectEqualTo("h100-truth.csv", "H100", 792);
}

}  // namespace
}  // namespace trimma::truth_test
