#include "plan/choose.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/units.h"

namespace trimma::choose_test {
namespace {

struct TypeRow {
  const char* type;
  uint64_t mib;     // of weights
  double kld;       // expected
  double gpu_tps;   // with all layers on the card
  double host_tps;  // with none
};

// Shaped after Gemma 3 4B; speeds as for a card of 336 GB/s.
constexpr TypeRow kRows[] = {
    {"F16", 7400, 0, 34, 5},         {"Q8_0", 3940, 0.0009, 60, 9},
    {"Q6_K", 3040, 0.005, 75, 12},   {"Q5_K_M", 2700, 0.011, 82, 13},
    {"Q4_K_M", 2370, 0.028, 92, 15}, {"Q3_K_M", 1990, 0.094, 100, 17},
    {"Q2_K", 1650, 0.30, 105, 19},
};
constexpr uint32_t kContexts[] = {2048, 4096, 8192, 16384, 32768, 65536, 131072};

struct Machine {
  uint64_t card_mib = 5700;  // 0: no card
  uint64_t host_mib = 16000;
};

Estimate Around(double value, double factor) {
  return {value, value / factor, value * factor, false};
}

double KvMib(uint32_t context, const std::string& kv) {
  return (100 + context * 0.02) * (kv == "f16" ? 1 : kv == "q8_0" ? 0.53 : 0.28);
}

PlanCell Cell(size_t mix, const TypeRow& row, uint32_t context, const std::string& kv,
              const Machine& machine) {
  PlanCell cell;
  cell.mix = mix;
  cell.type = row.type;
  cell.file_bytes = row.mib * kMiB;
  cell.settings.context = context;
  cell.settings.kv_k = cell.settings.kv_v = kv;
  const auto cache = static_cast<uint64_t>(KvMib(context, kv));
  const uint64_t needed = row.mib + cache + 110;
  double share = 0;  // of the layers on the card
  if (machine.card_mib > 0) {
    share = std::min(1.0, static_cast<double>(machine.card_mib) / static_cast<double>(needed));
    const auto on = [&](uint64_t mib) {
      return static_cast<uint64_t>(share * static_cast<double>(mib * kMiB));
    };
    cell.devices.push_back({"card", on(row.mib), on(cache), on(110), machine.card_mib * kMiB});
    cell.devices.push_back({"host", row.mib * kMiB - on(row.mib), cache * kMiB - on(cache),
                            20 * kMiB, machine.host_mib * kMiB});
    cell.whole = share == 1;
    cell.settings.gpu_layers = static_cast<int>(share * 35);
  } else {
    cell.devices.push_back(
        {"host", row.mib * kMiB, cache * kMiB, 110 * kMiB, machine.host_mib * kMiB});
    cell.whole = true;
    cell.settings.gpu_layers = 0;
  }
  cell.fits = cell.devices.back().total_bytes() <= machine.host_mib * kMiB;
  const double seconds = share / row.gpu_tps + (1 - share) / row.host_tps + context * 2e-8;
  cell.decode_tps = Around(1 / seconds, 1.3);
  cell.ttft_ms = Around(PromptTokens(context) / (share == 1 ? 2000.0 : 200.0) * 1000, 1.3);
  cell.mean_kld = row.kld == 0 && kv == "f16" ? Estimate{0, 0, 0, true}
                                              : Around(row.kld + (kv == "f16"    ? 0
                                                                  : kv == "q8_0" ? 0.002
                                                                                 : 0.02),
                                                       4);
  return cell;
}

std::vector<PlanCell> Cells(const Machine& machine, size_t first_row = 0,
                            uint32_t longest = 131072) {
  std::vector<PlanCell> cells;
  for (size_t row = first_row; row < std::size(kRows); ++row) {
    TypeRow r = kRows[row];
    if (row == first_row) r.kld = 0;  // the source
    for (const uint32_t context : kContexts) {
      if (context > longest) continue;
      for (const char* kv : {"f16", "q8_0", "q4_0"})
        cells.push_back(Cell(row - first_row, r, context, kv, machine));
    }
  }
  MarkPareto(cells);
  return cells;
}

constexpr size_t kQuantised = 4;  // the row of Q4_K_M

ChoiceFacts FactsOf(const Machine& machine, bool quantised = false) {
  ChoiceFacts facts;
  facts.source_is_quantised = quantised;
  facts.source_label = quantised ? "Q4_K_M" : "F16";
  facts.parameters = 3'880'000'000;
  facts.has_gpu = machine.card_mib > 0;
  if (facts.has_gpu) facts.budget_bytes.push_back(machine.card_mib * kMiB);
  facts.budget_bytes.push_back(machine.host_mib * kMiB);
  facts.host_weights_bytes.assign(std::size(kRows), 0);
  return facts;
}

struct Chosen {
  Answer answer;
  std::vector<PlanCell> cells;
  const PlanCell& cell() const { return cells[answer.recommended.value()]; }
};

Chosen Ask(const Machine& machine, const Wishes& wishes, bool quantised = false,
           uint32_t longest = 131072) {
  Chosen chosen;
  chosen.cells = Cells(machine, quantised ? kQuantised : 0, longest);
  chosen.answer = Choose(chosen.cells, FactsOf(machine, quantised), wishes);
  return chosen;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PurposeTest, NamesGoThereAndBack) {
  for (const char* name : {"chat", "documents", "code", "speed", "quality"}) {
    const auto purpose = ParsePurpose(name);
    ASSERT_TRUE(purpose.ok());
    EXPECT_STREQ(NameOf(*purpose), name);
  }
  const auto wrong = ParsePurpose("documnets");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::kUsage);
  EXPECT_TRUE(Contains(wrong.error().hint, "documents")) << wrong.error().hint;
}

TEST(ParetoTest, NoCellOfTheFrontIsBeatenAndEveryOtherIs) {
  const auto cells = Cells({});
  const auto beats = [](const PlanCell& a, const PlanCell& b) {
    return a.fits && a.mean_kld->value <= b.mean_kld->value &&
           a.decode_tps->value >= b.decode_tps->value && a.ttft_ms->value <= b.ttft_ms->value &&
           a.settings.context >= b.settings.context &&
           (a.mean_kld->value < b.mean_kld->value || a.decode_tps->value > b.decode_tps->value ||
            a.ttft_ms->value < b.ttft_ms->value || a.settings.context > b.settings.context);
  };
  int front = 0;
  for (const PlanCell& cell : cells) {
    const bool beaten = std::any_of(cells.begin(), cells.end(),
                                    [&](const PlanCell& other) { return beats(other, cell); });
    EXPECT_EQ(cell.pareto, cell.fits && !beaten) << cell.type << " " << cell.settings.context;
    front += cell.pareto;
  }
  EXPECT_GT(front, 5);
  EXPECT_LT(front, static_cast<int>(cells.size()));
}

TEST(ParetoTest, WithoutPredictionsBitsAndBytesCompare) {
  auto cells = Cells({.card_mib = 0});
  for (PlanCell& cell : cells) {
    cell.mean_kld.reset();
    cell.decode_tps.reset();
    cell.ttft_ms.reset();
  }
  MarkPareto(cells);
  // At one context and cache, more bits and fewer bytes exclude each other: all are on the front.
  for (const PlanCell& cell : cells) {
    if (cell.settings.context == 8192 && cell.settings.kv_k == "f16") {
      EXPECT_TRUE(cell.pareto) << cell.type;
    }
  }
}

TEST(ChooseTest, AChatOnASmallCardKeepsWhatNobodyWouldMiss) {
  const Chosen c = Ask({}, {});
  EXPECT_EQ(c.cell().type, "Q5_K_M") << "a smaller loss would not be noticed";
  EXPECT_TRUE(c.cell().whole);
  EXPECT_EQ(c.cell().settings.kv_k, "f16");
  EXPECT_EQ(c.cell().settings.context, 32768U) << "room on the card that costs nothing";
  EXPECT_TRUE(Contains(c.answer.reason, "all of it fits on the graphics card")) << c.answer.reason;
  EXPECT_TRUE(Contains(c.answer.reason, "32 768 tokens (about 24 000 words)")) << c.answer.reason;
  EXPECT_TRUE(Contains(c.answer.reason, "times as fast as people read")) << c.answer.reason;
  EXPECT_TRUE(Contains(c.answer.reason, "very close to those of the original")) << c.answer.reason;
  ASSERT_TRUE(c.answer.runner_up);
  EXPECT_NE(c.cells[*c.answer.runner_up].type, "Q5_K_M");
  EXPECT_FALSE(c.answer.runner_up_reason.empty());
  EXPECT_FALSE(c.answer.refusal);
}

TEST(ChooseTest, EveryPurposeHasItsOwnAnswer) {
  const auto of = [](Purpose purpose) { return Ask({}, {.purpose = purpose}); };
  const Chosen documents = of(Purpose::kDocuments);
  EXPECT_GE(documents.cell().settings.context, 32768U);
  EXPECT_TRUE(documents.cell().whole);
  const Chosen code = of(Purpose::kCode);
  EXPECT_GE(code.cell().settings.context, 16384U);
  EXPECT_LE(code.cell().mean_kld->value, 0.012);
  const Chosen speed = of(Purpose::kSpeed);
  EXPECT_EQ(speed.cell().type, "Q4_K_M") << "the last within the loss that optimize accepts";
  EXPECT_LE(speed.cell().settings.context, 4096U);
  const Chosen quality = of(Purpose::kQuality);
  EXPECT_EQ(quality.cell().type, "Q8_0");
}

TEST(ChooseTest, OnTheHostNoMoreRoomIsTakenThanWanted) {
  const Chosen c = Ask({.card_mib = 0}, {});
  EXPECT_EQ(c.cell().settings.context, 8192U);
  EXPECT_TRUE(Contains(c.answer.reason, "this machine's memory")) << c.answer.reason;
  EXPECT_EQ(c.cell().type, "Q4_K_M") << "below what is fast enough, speed is worth loss";
}

TEST(ChooseTest, AQuantisedFileThatIsFastEnoughStaysAsItIs) {
  const Chosen c = Ask({}, {}, true);
  EXPECT_EQ(c.cell().mix, 0U);
  EXPECT_EQ(c.cell().settings.kv_k, "f16");
  EXPECT_TRUE(Contains(c.answer.reason, "stays as it is")) << c.answer.reason;
}

TEST(ChooseTest, AQuantisedFileIsLoweredOnlyForSomethingThatIsNeeded) {
  // The card holds Q3_K_M whole, but only six sevenths of the file as it is.
  const Machine small{.card_mib = 2300};
  const Chosen speed = Ask(small, {.purpose = Purpose::kSpeed}, true);
  EXPECT_EQ(speed.cell().type, "Q3_K_M") << "twice as fast";
  EXPECT_TRUE(speed.cell().whole);
  EXPECT_TRUE(Contains(speed.answer.reason, "the file as it is")) << speed.answer.reason;
  const Chosen chat = Ask(small, {}, true);
  EXPECT_EQ(chat.cell().mix, 0U) << "fast enough for reading, whole or not";
  EXPECT_FALSE(chat.cell().whole);
  const Chosen wish = Ask(small, {.min_decode_tps = 90}, true);
  EXPECT_NE(wish.cell().mix, 0U) << "a speed that was asked for";
}

TEST(ChooseTest, WishesAreKept) {
  const Chosen room = Ask({}, {.min_context = 65536});
  EXPECT_GE(room.cell().settings.context, 65536U);
  const Chosen fast = Ask({}, {.min_decode_tps = 85});
  EXPECT_GE(fast.cell().decode_tps->value, 85);
  const Chosen exact = Ask({}, {.max_kld = 0.002});
  EXPECT_LE(exact.cell().mean_kld->value, 0.002);
}

TEST(ChooseTest, AMeasuredLossMustBeBelowTheLimitWithItsWholeInterval) {
  auto cells = Cells({});
  for (PlanCell& cell : cells) {
    if (cell.mix > 0) {
      cell.mean_kld->measured = true;
      cell.mean_kld->high = 1.2 * cell.mean_kld->value;
      cell.mean_kld->low = 0.8 * cell.mean_kld->value;
    }
  }
  const Wishes wishes = {.max_kld = 0.03};
  const Answer answer = Choose(cells, FactsOf({}), wishes);
  ASSERT_TRUE(answer.recommended);
  EXPECT_LE(cells[*answer.recommended].mean_kld->high, 0.03) << "Q4_K_M: 0.028, up to 0.034";
}

TEST(ChooseTest, ContradictingWishesAreToldApartByNumbers) {
  const Chosen c = Ask({}, {.min_context = 131072, .min_decode_tps = 85, .max_kld = 0.02});
  ASSERT_TRUE(c.answer.refusal);
  EXPECT_FALSE(c.answer.recommended);
  EXPECT_EQ(c.answer.refusal->code, Code::kUsage);
  const std::string& hint = c.answer.refusal->hint;
  EXPECT_TRUE(Contains(hint, "--min-speed ")) << hint;
  EXPECT_TRUE(Contains(c.answer.refusal->what, "131 072")) << c.answer.refusal->what;
}

TEST(ChooseTest, WhatTheHintSaysIsPossible) {
  const Machine machine{};
  const Wishes wishes = {.min_context = 131072, .min_decode_tps = 90};
  const Chosen c = Ask(machine, wishes);
  ASSERT_TRUE(c.answer.refusal);
  const std::string& hint = c.answer.refusal->hint;
  const auto number_after = [&](const std::string& option) {
    const size_t at = hint.find(option);
    CHECK(at != std::string::npos);
    return std::stod(hint.substr(at + option.size()));
  };
  const double tps = number_after("--min-speed ");
  const double context = number_after("--min-context ");
  EXPECT_LT(tps, 90);
  EXPECT_LT(context, 131072);
  EXPECT_TRUE(Ask(machine, {.min_context = 131072, .min_decode_tps = tps}).answer.recommended);
  EXPECT_TRUE(Ask(machine, {.min_context = static_cast<uint32_t>(context), .min_decode_tps = 90})
                  .answer.recommended);
}

TEST(ChooseTest, ASpeedThatIsNotPredictedCannotBeAskedFor) {
  auto cells = Cells({});
  for (PlanCell& cell : cells) cell.decode_tps.reset();
  const Answer answer = Choose(cells, FactsOf({}), {.min_decode_tps = 10});
  ASSERT_TRUE(answer.refusal);
  EXPECT_EQ(answer.refusal->code, Code::kUsage);
  EXPECT_TRUE(Contains(answer.refusal->hint, "scan --bench")) << answer.refusal->hint;
}

TEST(ChooseTest, WhereNothingFitsTheNearestAndWhatItLacksAreTold) {
  const Chosen c = Ask({.card_mib = 0, .host_mib = 1500}, {});
  ASSERT_TRUE(c.answer.refusal);
  EXPECT_EQ(c.answer.refusal->code, Code::kNoFit);
  // Q2_K of 1650 MiB, 110 of compute and a cache in q4_0 of 39: 299 MiB short.
  EXPECT_TRUE(Contains(c.answer.refusal->what, "Q2_K")) << c.answer.refusal->what;
  EXPECT_TRUE(Contains(c.answer.refusal->what, "299 MiB")) << c.answer.refusal->what;
  EXPECT_EQ(c.answer.reason, c.answer.refusal->what);
}

TEST(ChooseTest, ItIsToldHowMuchMoreMemoryWouldChangeTheAnswer) {
  // Q5_K_M at 8192 needs 3073 MiB: 73 more than there are.
  const Machine tight{.card_mib = 3000};
  const Chosen c = Ask(tight, {.purpose = Purpose::kCode}, false, 16384);
  ASSERT_FALSE(c.answer.would_change.empty());
  EXPECT_TRUE(std::any_of(
      c.answer.would_change.begin(), c.answer.would_change.end(), [](const std::string& line) {
        return Contains(line, "more free on the graphics card") && Contains(line, "MiB");
      }));
}

TEST(ChooseTest, ASmallerCacheIsOfferedForALongerContext) {
  const Chosen c = Ask({.card_mib = 3500}, {});
  EXPECT_TRUE(std::any_of(c.answer.would_change.begin(), c.answer.would_change.end(),
                          [](const std::string& line) {
                            return Contains(line, "its cache in q8_0 the context could be");
                          }));
}

TEST(ChooseTest, WithoutPredictionsTheUsualBalanceIsFound) {
  auto cells = Cells({.card_mib = 0});
  for (PlanCell& cell : cells) {
    cell.decode_tps.reset();
    cell.ttft_ms.reset();
    cell.mean_kld.reset();
  }
  const Machine machine{.card_mib = 0};
  const Answer answer = Choose(cells, FactsOf(machine), {});
  ASSERT_TRUE(answer.recommended);
  EXPECT_EQ(cells[*answer.recommended].settings.context, 8192U);
  EXPECT_EQ(cells[*answer.recommended].settings.kv_k, "f16");
  EXPECT_FALSE(Contains(answer.reason, "words a second")) << answer.reason;
}

TEST(ChooseTest, TheAnswerDoesNotDependOnTheOrderOfCells) {
  auto cells = Cells({});
  const Answer one = Choose(cells, FactsOf({}), {});
  std::vector<PlanCell> turned(cells.rbegin(), cells.rend());
  const Answer other = Choose(turned, FactsOf({}), {});
  ASSERT_TRUE(one.recommended && other.recommended);
  EXPECT_EQ(cells[*one.recommended].type, turned[*other.recommended].type);
  EXPECT_EQ(cells[*one.recommended].settings, turned[*other.recommended].settings);
}

}  // namespace
}  // namespace trimma::choose_test
