#include "report/page.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/text.h"
#include "report/charts.h"
#include "report/test_record.h"

namespace trimma::page_test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The first fault in the nesting of `html`'s tags; "" if there is none.
std::string NestingFault(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return "an unclosed tag";
    const std::string tag = html.substr(at + 1, end - at - 1);
    at = end + 1;
    const std::string name = tag.substr(0, tag.find(' '));
    if (tag[0] == '!' || tag.back() == '/' || name == "meta") continue;
    if (tag[0] != '/') {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return tag + " after " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " left open";
}

void ExpectSound(const OptimizeRecord& record) {
  const std::string page = RenderPage(record);
  EXPECT_EQ(NestingFault(page), "");
  EXPECT_TRUE(IsUtf8(page));
  for (const char* forbidden : {"<script", "http://", "https://", "url(", "@import", " src=",
                                " href=", ">nan", ">inf", "\"nan", "\"inf", "=\"-nan", ">-nan"}) {
    EXPECT_EQ(page.find(forbidden), std::string::npos) << forbidden;
  }
  const std::string summary = RenderSummary(record);
  const std::vector<std::string> lines = Split(summary, '\n');
  EXPECT_LE(lines.size(), 15U);  // fourteen, and nothing after the last line break
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 100U) << line;
    EXPECT_EQ(SafeText(line, line.size()), line);
  }
}

TEST(PageTest, IsOneSelfContainedDocument) {
  const OptimizeRecord record = FullRecord();
  ExpectSound(record);
  const std::string page = RenderPage(record);
  EXPECT_EQ(page.rfind("<!DOCTYPE html>", 0), 0U);
  EXPECT_NE(page.find("<meta charset=\"utf-8\">"), std::string::npos);
  EXPECT_NE(page.find("default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
            std::string::npos);
  for (const char* text : {"410 tok/s", "0.0169", "0.0160 to 0.0178", "93.1 %", "no difference",
                           "rm -r /out", "/out/config.toml", "One tensor was kept", "too big",
                           "Quantised to Q5_K_M.", "A Card", "de3ff815ea7d"}) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
}

TEST(PageTest, EveryChartHasATitleAndADescription) {
  const std::string page = RenderPage(FullRecord());
  size_t charts = 0;
  for (size_t at = 0; (at = page.find("<svg", at)) != std::string::npos; ++charts) {
    at = page.find('>', at) + 1;
    EXPECT_EQ(page.compare(at, 7, "<title>"), 0);
    EXPECT_LT(page.find("<desc>", at), page.find("</svg>", at));
  }
  EXPECT_EQ(charts, 7U);  // two of trade-off, three of speed, memory, time
}

TEST(PageTest, ForeignTextStaysText) {
  OptimizeRecord record = FullRecord();
  const std::string hostile =
      "<script>alert(1)</script>\"' onload=x \xE2\x80\xAE\xFF\x1B[2J </style>";
  record.model_name = hostile;
  record.model_path = record.after.label = record.after.type = record.quality_text = hostile;
  record.weights_verdict = record.tuning_verdict = record.engine_version = hostile;
  record.points[2].type = record.memory[0].kv_k = record.trials[0].what = hostile;
  record.trials[0].outcome = record.notes[0] = record.steps[0].name = hostile;
  record.files.model = record.files.report = record.files.undo[0] = hostile;
  record.machine.cpu.name = record.machine.gpus[0].name = record.created = hostile;
  ExpectSound(record);
  EXPECT_EQ(RenderPage(record).find("\xE2\x80\xAE"), std::string::npos);
}

TEST(PageTest, AnEndlessNameIsCut) {
  OptimizeRecord record = FullRecord();
  const size_t usual = RenderPage(record).size();
  record.model_name = std::string(10'000, 'W');
  ExpectSound(record);
  EXPECT_LT(RenderPage(record).size(), usual + 1000);
  record.files.report = "/" + std::string(5000, 'd') + "/report.html";
  ExpectSound(record);
  EXPECT_NE(RenderSummary(record).find("d/report.html"), std::string::npos);
}

TEST(PageTest, AnEmptyRecordSaysNotMeasured) {
  const OptimizeRecord record;
  ExpectSound(record);
  const std::string page = RenderPage(record);
  EXPECT_NE(page.find("not measured"), std::string::npos);
  for (const char* zero : {">0<", ">0 tok/s", ">0 ms", ">0 B", "nan", "inf<"}) {
    EXPECT_EQ(page.find(zero), std::string::npos) << zero;
  }
}

TEST(PageTest, FiguresThatAreNoNumbersAreNotMeasured) {
  OptimizeRecord record = FullRecord();
  record.after.speed.decode_tps = {kNan, kNan, kNan, 12};
  record.before.speed.ttft_ms = {kInfinity, 0, kInfinity, 12};
  record.after.quality->mean_kld_high = kInfinity;
  record.after.quality->ppl = kNan;
  record.after.bits_per_weight = kInfinity;
  record.points[1].mean_kld = kNan;
  record.points[2].kld_high = kInfinity;
  record.points[2].decode_tps = kNan;
  record.trials[0].decode_tps = kInfinity;
  record.steps[0].seconds = kNan;
  record.machine.memory.bandwidth_bytes_per_s = kNan;
  ExpectSound(record);
  record.after.quality->mean_kld = kNan;
  ExpectSound(record);
}

TEST(ChartsTest, OnePointIsEnough) {
  EXPECT_NE(TradeOffCharts({FullRecord().points[2]}).find("Q5_K_M (chosen)"), std::string::npos);
}

TEST(ChartsTest, WithoutDivergencesSizeStandsAgainstSpeed) {
  std::vector<PlotPoint> points = FullRecord().points;
  for (PlotPoint& point : points) point.mean_kld.reset();
  const std::string charts = TradeOffCharts(points);
  EXPECT_EQ(charts.find("KL divergence"), std::string::npos);
  EXPECT_NE(charts.find("Decode speed"), std::string::npos);
}

TEST(ChartsTest, NothingMeasuredMakesNoChart) {
  EXPECT_EQ(TradeOffCharts({{"F16", 100, 0, 0, std::nullopt, 0, 0, false}}), "");
  EXPECT_EQ(SpeedCharts({}, {}), "");
  EXPECT_EQ(MemoryChart({{4096, "f16", "f16", 0, 0, 0, false}}), "");
  EXPECT_EQ(TimeChart({{"step", 0}, {"step", kNan}}), "");
}

TEST(SummaryTest, SettingsThatAreSeldomOtherThanTheEnginesAreShownWhereTheyAre) {
  OptimizeRecord record = FullRecord();
  EXPECT_EQ(RenderPage(record).find("--override-tensor"), std::string::npos);
  record.after.settings.host_tensors = {R"(blk\.(0|1)\.ffn_up\.)"};
  record.after.settings.repack = false;
  record.after.quality->left_cards = LeftCards::kAll;
  ExpectSound(record);
  const std::string page = RenderPage(record);
  EXPECT_NE(page.find("--override-tensor"), std::string::npos);
  EXPECT_NE(page.find(R"(blk\.(0|1)\.ffn_up\.)"), std::string::npos);
  EXPECT_NE(page.find("--no-repack"), std::string::npos);
  EXPECT_NE(page.find("on the host, the cards had no room"), std::string::npos);
  EXPECT_EQ(page.find("--load-mode"), std::string::npos);
  EXPECT_NE(RenderSummary(record).find(
                R"(settings decode threads 2, on the host blk\.(0|1)\.ffn_up\., no repacking)"),
            std::string::npos);
}

TEST(SummaryTest, ALongReasonHasTwoLines) {
  OptimizeRecord record = FullRecord();
  record.weights_verdict = "The weights are kept:";
  for (int i = 0; i < 12; ++i) record.weights_verdict += " so many words";
  ExpectSound(record);
  EXPECT_NE(RenderSummary(record).find("many words\n         so many"), std::string::npos)
      << RenderSummary(record);
}

TEST(SummaryTest, HoldsTheFiguresThatMatter) {
  const std::string summary = RenderSummary(FullRecord());
  EXPECT_EQ(summary.rfind("tiny: F16 to Q5_K_M\n", 0), 0U);
  for (const char* text : {"18.4 MiB   -63 %", "410 tok/s   +64 %, faster", "no difference",
                           "reference         0.0169\n", "settings decode threads 2\n",
                           "why      Quantised to Q5_K_M.\n", "report   /out/report.html\n"}) {
    EXPECT_NE(summary.find(text), std::string::npos) << text << "\n" << summary;
  }
}

}  // namespace
}  // namespace trimma::page_test
