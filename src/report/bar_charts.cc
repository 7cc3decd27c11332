#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "report/axis.h"
#include "report/charts.h"
#include "report/figures.h"

namespace trimma {
namespace {

constexpr double kContextEnd = 58;  // right end of the memory chart's first column
constexpr int kSeriesColours = 8;   // classes s0 to s7 of the style sheet

struct SpeedBars {
  const char* title;
  const char* better;
  Unit unit;
  Spread before, after;
};

std::string SpeedChart(const SpeedBars& panel) {
  if (!Known(panel.before) && !Known(panel.after)) return "";
  constexpr double kLeft = 54;
  constexpr double kWidth = 206;
  double most = 0;
  for (const Spread* spread : {&panel.before, &panel.after}) {
    if (Known(*spread)) most = std::max({most, spread->median, spread->high});
  }
  const auto length = [&](double value) { return kWidth * std::max(0.0, value) / most; };
  Svg svg(62, panel.title, "Two bars, before and after; the thin line is the interval.");
  const auto bar = [&](const Spread& spread, const char* name, double y) {
    svg.Text({kLeft - 6, y + 14}, Anchor::kEnd, name, "tick");
    if (!Known(spread)) {
      svg.Text({kLeft, y + 14}, Anchor::kStart, kNotMeasured, "tick");
      return;
    }
    svg.Rect({kLeft, y, length(spread.median), 20}, name);
    svg.Line({kLeft + length(spread.low), y + 10}, {kLeft + length(spread.high), y + 10},
             "whisker");
    for (const double end : {spread.low, spread.high}) {
      const double x = kLeft + length(end);
      svg.Line({x, y + 6}, {x, y + 14}, "whisker");
    }
    svg.Text({kLeft + length(std::max(spread.median, spread.high)) + 6, y + 14}, Anchor::kStart,
             Amount(spread.median, panel.unit), "strong");
  };
  bar(panel.before, "before", 4);
  bar(panel.after, "after", 32);
  return Figure(fmt::format("{}: {}", panel.title, panel.better), std::move(svg).Finish());
}

uint64_t Total(const MemoryRow& row) {
  return row.weights_bytes + row.kv_bytes + row.compute_bytes;
}

std::string KvName(const MemoryRow& row) {
  return row.kv_k == row.kv_v ? row.kv_k : row.kv_k + "/" + row.kv_v;
}

void DrawMemoryRow(Svg& svg, const MemoryRow& row, double y, double units_per_byte) {
  constexpr double kLeft = 124;
  svg.Text({kContextEnd, y + 12}, Anchor::kEnd, FormatCount(row.context), "tick");
  svg.Text({kContextEnd + 7, y + 12}, Anchor::kStart, KvName(row), "tick");
  const std::array<std::pair<uint64_t, const char*>, 3> parts = {
      {{row.weights_bytes, "s0"}, {row.kv_bytes, "s1"}, {row.compute_bytes, "s2"}}};
  double x = kLeft;
  for (const auto& [bytes, css] : parts) {
    const double width = static_cast<double>(bytes) * units_per_byte;
    if (width <= 0) continue;
    svg.Rect({x, y + 1, width, 14}, fmt::format("part {}{}", css, row.fits ? "" : " faded"));
    x += width;
  }
  svg.Text({x + 5, y + 12}, Anchor::kStart,
           fmt::format("{}{}", Bytes(Total(row)), row.fits ? ", fits" : ", too big"),
           row.fits ? "tick" : "tick bad");
}

}  // namespace

std::string SpeedCharts(const Speed& before, const Speed& after) {
  const std::array<SpeedBars, 3> panels = {
      {{"Prefill", "higher is better", Unit::kTokensPerSecond, before.prefill_tps,
        after.prefill_tps},
       {"Decode", "higher is better", Unit::kTokensPerSecond, before.decode_tps, after.decode_tps},
       {"Time to first token", "lower is better", Unit::kMilliseconds, before.ttft_ms,
        after.ttft_ms}}};
  std::string charts;
  for (const SpeedBars& panel : panels) charts += SpeedChart(panel);
  return charts.empty() ? "" : "<div class=\"panels three\">\n" + charts + "</div>\n";
}

std::string MemoryChart(const std::vector<MemoryRow>& rows) {
  uint64_t most = 0;
  for (const MemoryRow& row : rows) most = std::max(most, Total(row));
  if (most == 0) return "";
  constexpr double kRow = 19;
  constexpr double kBarWidth = 126;
  Svg svg(kRow * static_cast<double>(rows.size()) + 24, "Memory at each context length",
          "A stacked bar of weights, KV cache and work buffers for each context length and "
          "KV-cache type. The table below has the same figures.");
  svg.Text({kContextEnd, 12}, Anchor::kEnd, "context", "tick");
  svg.Text({kContextEnd + 7, 12}, Anchor::kStart, "KV type", "tick");
  double y = 20;
  for (const MemoryRow& row : rows) {
    DrawMemoryRow(svg, row, y, kBarWidth / static_cast<double>(most));
    y += kRow;
  }
  const std::string key =
      "<p class=\"key\"><span class=\"swatch b0\"></span>weights "
      "<span class=\"swatch b1\"></span>KV cache "
      "<span class=\"swatch b2\"></span>work buffers</p>\n";
  return Figure("Memory by context length (tokens) and KV-cache type",
                key + std::move(svg).Finish());
}

std::string TimeChart(const std::vector<Step>& steps) {
  double total = 0;
  for (const Step& step : steps) total += Known(step.seconds) ? step.seconds : 0;
  if (total <= 0) return "";
  Svg svg(44, "Where the time went",
          "One bar of all steps, as long as each took; the numbers are the rows of the table.");
  double x = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!Known(steps[i].seconds)) continue;
    const double width = kChartWidth * steps[i].seconds / total;
    svg.Rect({x, 2, width, 22}, fmt::format("part s{}", i % kSeriesColours));
    const std::string number = std::to_string(i + 1);
    if (width > 8.0 * static_cast<double>(number.size())) {
      svg.Text({x + width / 2, 38}, Anchor::kMiddle, number, "tick");
    }
    x += width;
  }
  return Figure("Time by step; the numbers are rows of the table", std::move(svg).Finish());
}

}  // namespace trimma
