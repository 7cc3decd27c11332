#include "plan/without_gpu.h"

#include <gtest/gtest.h>

#include "base/units.h"
#include "plan/choose.h"

namespace trimma::without_gpu_test {
namespace {

Estimate About(double value) { return {value, value / 1.25, value * 1.25, true}; }

// 2000 MiB beside a card: `on_card` of it there, or all on the host and the card left out.
PlanCell Cell(std::optional<uint64_t> on_card, double tps, double ttft_ms) {
  PlanCell cell;
  cell.type = "Q4_K_M";
  cell.file_bytes = 2000 * kMiB;
  cell.settings.use_gpu = on_card.has_value();
  cell.settings.gpu_layers = static_cast<int>(on_card.value_or(0) / 100);
  const uint64_t there = on_card.value_or(0);
  cell.devices = {{"card", there * kMiB, 0, (on_card ? 500 : 0) * kMiB, 4000 * kMiB},
                  {"host", (2000 - there) * kMiB, 50 * kMiB, 100 * kMiB}};
  cell.fits = true;
  cell.whole = there == 2000;
  if (tps > 0) cell.decode_tps = About(tps);
  if (ttft_ms > 0) cell.ttft_ms = About(ttft_ms);
  cell.mean_kld = Estimate{0, 0, 0, true};
  return cell;
}

std::vector<PlanCell> Kept(std::vector<PlanCell> cells) {
  DropNeedlessWithoutGpu(cells);
  return cells;
}

ChoiceFacts Facts() {
  ChoiceFacts facts;
  facts.has_gpu = true;
  facts.budget_bytes = {4000 * kMiB, 8000 * kMiB};
  return facts;
}

TEST(WithoutGpuTest, IsListedOnlyWhereItIsBetterInSomething) {
  const PlanCell on_card = Cell(2000, 40, 500);
  EXPECT_EQ(Kept({on_card, Cell(std::nullopt, 10, 5000)}).size(), 1U);
  EXPECT_EQ(Kept({on_card, Cell(std::nullopt, 50, 5000)}).size(), 2U) << "it decodes faster";
  EXPECT_EQ(Kept({on_card, Cell(std::nullopt, 10, 400)}).size(), 2U) << "it answers sooner";
  EXPECT_EQ(Kept({Cell(2000, 0, 0), Cell(std::nullopt, 0, 0)}).size(), 1U) << "nothing predicted";

  PlanCell too_big = on_card;
  too_big.fits = false;
  const auto both = Kept({too_big, Cell(std::nullopt, 10, 5000)});
  ASSERT_EQ(both.size(), 2U) << "the only one that fits";
  EXPECT_FALSE(both[1].settings.use_gpu);

  PlanCell neither = Cell(std::nullopt, 50, 400);
  neither.fits = false;
  EXPECT_EQ(Kept({on_card, neither}).size(), 1U) << "faster, but it doesn't fit";
}

TEST(WithoutGpuTest, IsComparedWithItsOwnTwinAlone) {
  PlanCell longer = Cell(std::nullopt, 10, 5000);
  longer.settings.context = 8192;
  EXPECT_EQ(Kept({Cell(2000, 40, 500), longer}).size(), 2U) << "another context";
  PlanCell other_cache = Cell(std::nullopt, 10, 5000);
  other_cache.settings.kv_v = "q8_0";
  EXPECT_EQ(Kept({Cell(2000, 40, 500), other_cache}).size(), 2U) << "another cache";
}

TEST(WithoutGpuTest, ACardThatHoldsNothingIsLeftOut) {
  PlanCell too_big = Cell(0, 9, 6000);
  too_big.fits = false;
  const auto cells = Kept({too_big, Cell(std::nullopt, 10, 5000)});
  const Answer answer = Choose(cells, Facts(), {});
  ASSERT_EQ(answer.recommended, 1U);
  EXPECT_NE(answer.reason.find("left out, where not even"), std::string::npos) << answer.reason;
  EXPECT_FALSE(answer.refusal);
}

TEST(WithoutGpuTest, ACardThatIsSlowerIsLeftOut) {
  const auto cells = Kept({Cell(400, 5, 9000), Cell(std::nullopt, 10, 5000)});
  const Answer answer = Choose(cells, Facts(), {});
  ASSERT_EQ(answer.recommended, 1U);
  EXPECT_NE(answer.reason.find("left out, which is faster"), std::string::npos) << answer.reason;
}

TEST(WithoutGpuTest, ACardThatPredictionsCannotTellApartIsUsed) {
  const auto cells = Kept({Cell(400, 10, 5000), Cell(std::nullopt, 10.2, 5000)});
  ASSERT_EQ(cells.size(), 2U);
  EXPECT_EQ(Choose(cells, Facts(), {}).recommended, 0U);
}

// A host whose prefill was never measured beside cards whose wait is known.
TEST(WithoutGpuTest, AWaitThatIsNotPredictedIsTakenForTheWorst) {
  PlanCell too_big = Cell(0, 9, 6000);
  too_big.type = "Q8_0";
  too_big.mix = 1;
  too_big.fits = false;
  PlanCell alone = Cell(std::nullopt, 10, 0);
  alone.type = "Q8_0";
  alone.mix = 1;
  std::vector<PlanCell> cells = Kept({Cell(2000, 40, 500), too_big, alone});
  MarkPareto(cells);
  EXPECT_TRUE(cells[0].pareto);
  EXPECT_EQ(Choose(cells, Facts(), {}).recommended, 0U);
}

// With no speed predicted at all, bytes stand for it; a host's are slow ones.
TEST(WithoutGpuTest, FewerBytesOnTheHostAreNoBetterThanMoreOnTheCard) {
  PlanCell longer = Cell(std::nullopt, 0, 0);
  longer.settings.context = 8192;
  std::vector<PlanCell> cells = {Cell(1900, 0, 0), longer};
  MarkPareto(cells);
  EXPECT_TRUE(cells[0].pareto);
  EXPECT_TRUE(cells[1].pareto) << "it has more room";
  EXPECT_LT(AllBytes(longer), AllBytes(cells[0]));
}

}  // namespace
}  // namespace trimma::without_gpu_test
