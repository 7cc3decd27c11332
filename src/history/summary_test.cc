#include "history/summary.h"

#include <gtest/gtest.h>

namespace trimma::summary_test {
namespace {

TEST(SummaryTest, TheSchemaNamesTheCommand) {
  EXPECT_EQ(CommandOf({{"schema", "trimma.measure/1"}}), "measure");
  EXPECT_EQ(CommandOf({{"schema", "other.measure/1"}}), "");
  EXPECT_EQ(CommandOf({{"schema", 1}}), "");
  EXPECT_EQ(CommandOf(Json::array()), "");
}

TEST(SummaryTest, ShowsTheFiguresOfAMeasurement) {
  const Json speed = {{"prefill_tps", {{"median", 2518.04}}}, {"decode_tps", {{"median", 435.2}}}};
  Json document = {{"schema", "trimma.measure/1"}, {"speed", speed}, {"quality", nullptr}};
  EXPECT_EQ(SummaryOf(document), "prefill 2518.0 tok/s, decode 435.2 tok/s");
  document["quality"] = {{"mean_kld", 0.0014}};
  EXPECT_EQ(SummaryOf(document), "prefill 2518.0 tok/s, decode 435.2 tok/s, mean KLD 0.00140");
  document["speed"] = nullptr;
  EXPECT_EQ(SummaryOf(document), "mean KLD 0.00140");
}

TEST(SummaryTest, ShowsWhatAPromptCosts) {
  EXPECT_EQ(SummaryOf({{"schema", "trimma.prompt/1"},
                       {"prompt", "/x/system.txt"},
                       {"tokens", 85},
                       {"ttft_cold_ms", 210.0},
                       {"ttft_warm_ms", 30.0}}),
            "system.txt: 85 tokens, first token after 210 ms cold, 30 ms with the prefix kept");
}

TEST(SummaryTest, AnUnknownOrDifferentDocumentHasNone) {
  EXPECT_EQ(SummaryOf({{"schema", "trimma.measure/1"}}), "");
  EXPECT_EQ(SummaryOf({{"schema", "trimma.future/1"}}), "");
}

TEST(SummaryTest, ForeignTextIsMadeSafe) {
  EXPECT_EQ(SummaryOf({{"schema", "trimma.tune/1"}, {"verdict", "\x1b[2J"}}).find('\x1b'),
            std::string::npos);
}

}  // namespace
}  // namespace trimma::summary_test
