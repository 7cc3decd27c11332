#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "report/axis.h"
#include "report/charts.h"
#include "report/figures.h"
#include "report/labels.h"

namespace trimma {
namespace {

constexpr double kHeight = 280;
constexpr Box kArea = {50, 10, 296, 224};
constexpr double kZeroStrip = 28;  // below the logarithmic axis, for a divergence of zero
constexpr size_t kLongestLabel = 24;

struct Mark {
  Point at;
  std::optional<double> bar_low, bar_high;  // y of the interval's ends
  const PlotPoint* point = nullptr;
};

double Radius(const PlotPoint& point) { return point.chosen ? 6.5 : 4.5; }

std::string MarkClass(const PlotPoint& point) {
  if (point.chosen) return "mark chosen";
  return point.mean_kld ? "mark" : "mark reference";
}

std::string LabelOf(const PlotPoint& point) {
  const std::string type = point.type.substr(0, kLongestLabel);
  return point.chosen ? type + " (chosen)" : type;
}

std::vector<const PlotPoint*> Select(const std::vector<PlotPoint>& points,
                                     const std::function<bool(const PlotPoint&)>& wanted) {
  std::vector<const PlotPoint*> selected;
  // Labels are placed in this order: the chosen point must have one.
  for (const bool chosen : {true, false}) {
    for (const PlotPoint& point : points) {
      const bool shown = point.file_bytes > 0 && point.chosen == chosen && wanted(point);
      if (shown) selected.push_back(&point);
    }
  }
  return selected;
}

uint64_t Largest(const std::vector<const PlotPoint*>& points) {
  uint64_t largest = 0;
  for (const PlotPoint* point : points) largest = std::max(largest, point->file_bytes);
  return largest;
}

double SizeOf(const PlotPoint& point, const ByteUnit& unit) {
  return static_cast<double>(point.file_bytes) / unit.bytes;
}

void DrawWhisker(Svg& svg, double x, double low, double high) {
  svg.Line({x, low}, {x, high}, "whisker");
  for (const double y : {low, high}) svg.Line({x - 4, y}, {x + 4, y}, "whisker");
}

void DrawMarks(Svg& svg, const std::vector<Mark>& marks) {
  std::vector<Box> bars;
  std::vector<Label> labels;
  for (const Mark& mark : marks) {
    if (mark.bar_low && mark.bar_high) {
      DrawWhisker(svg, mark.at.x, *mark.bar_low, *mark.bar_high);
      bars.push_back({mark.at.x - 4, *mark.bar_high, 8, *mark.bar_low - *mark.bar_high});
    }
    labels.push_back({mark.at, Radius(*mark.point), LabelOf(*mark.point)});
  }
  // The chosen point comes first, and is drawn last, on top.
  for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
    svg.Circle(mark->at, Radius(*mark->point), MarkClass(*mark->point));
  }
  const Box bounds = {kArea.x + 2, kArea.y - 6, kArea.width + 10, kArea.height + 4};
  const auto placed = PlaceLabels(labels, bars, bounds);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!placed[i]) continue;
    if (placed[i]->leader_to) svg.Line(marks[i].at, *placed[i]->leader_to, "leader");
    svg.Text(placed[i]->at, placed[i]->anchor, labels[i].text,
             marks[i].point->chosen ? "strong halo" : "halo");
  }
}

// Sizes with some room on both sides: labels need it more than the axis needs its zero.
Ticks SizeTicks(const std::vector<const PlotPoint*>& points, const ByteUnit& unit) {
  double low = SizeOf(*points.front(), unit);
  double high = low;
  for (const PlotPoint* point : points) {
    low = std::min(low, SizeOf(*point, unit));
    high = std::max(high, SizeOf(*point, unit));
  }
  const double room = std::max((high - low) * 0.08, high * 0.05);
  return LinearTicks(std::max(0.0, low - room), high + room, 6);
}

bool OnLogAxis(const PlotPoint& point) { return point.mean_kld && Known(*point.mean_kld); }

Ticks DivergenceTicks(const std::vector<const PlotPoint*>& points) {
  double low = 0;
  double high = 0;
  const auto include = [&](double kld) {
    if (!Known(kld)) return;
    low = low == 0 ? kld : std::min(low, kld);
    high = std::max(high, kld);
  };
  for (const PlotPoint* point : points) {
    if (!OnLogAxis(*point)) continue;
    include(*point->mean_kld);
    include(point->kld_low);
    include(point->kld_high);
  }
  return LogTicks(low, high);
}

Mark DivergenceMark(const Frame& frame, const PlotPoint& point, const ByteUnit& unit) {
  Mark mark;
  mark.point = &point;
  mark.at = PointOf(frame, SizeOf(point, unit), frame.y.low);
  if (!OnLogAxis(point)) {
    mark.at.y += kZeroStrip / 2;
    return mark;
  }
  mark.at = PointOf(frame, SizeOf(point, unit), *point.mean_kld);
  if (Known(point.kld_high) && std::isfinite(point.kld_low)) {
    mark.bar_low = PointOf(frame, 0, point.kld_low).y;
    mark.bar_high = PointOf(frame, 0, point.kld_high).y;
  }
  return mark;
}

std::string DivergencePanel(const std::vector<PlotPoint>& all) {
  const auto points =
      Select(all, [](const PlotPoint& p) { return !p.mean_kld || std::isfinite(*p.mean_kld); });
  const auto on_axis =
      std::count_if(points.begin(), points.end(), [](const PlotPoint* p) { return OnLogAxis(*p); });
  if (on_axis == 0) return "";
  const bool strip = on_axis < static_cast<std::ptrdiff_t>(points.size());
  const ByteUnit unit = UnitFor(Largest(points));
  Frame frame = {kArea, SizeTicks(points, unit), DivergenceTicks(points), true};
  if (strip) frame.area.height -= kZeroStrip;
  const double bottom = kArea.y + kArea.height;
  Svg svg(kHeight, "Quality lost against file size",
          "Each point is a quantisation type. Further down loses less quality; further left is "
          "a smaller file. The table below has the same figures.");
  DrawYAxis(svg, frame);
  DrawXAxis(svg, frame, bottom, fmt::format("file size, {}", unit.name));
  if (strip) svg.Text({kArea.x - 5, bottom - kZeroStrip / 2 + 4}, Anchor::kEnd, "0", "tick");
  std::vector<Mark> marks;
  for (const PlotPoint* point : points) marks.push_back(DivergenceMark(frame, *point, unit));
  DrawMarks(svg, marks);
  return Figure(
      "Quality lost: mean KL divergence, nats (log axis; bars, where wider than the mark: 95 % "
      "intervals). Lower is better.",
      std::move(svg).Finish());
}

std::string SpeedPanel(const std::vector<PlotPoint>& all) {
  const auto points = Select(all, [](const PlotPoint& p) { return Known(p.decode_tps); });
  if (points.empty()) return "";
  const ByteUnit unit = UnitFor(Largest(points));
  double fastest = 0;
  for (const PlotPoint* point : points) fastest = std::max(fastest, point->decode_tps);
  const Frame frame = {kArea, SizeTicks(points, unit), LinearTicks(0, fastest * 1.05, 5)};
  Svg svg(kHeight, "Decode speed against file size",
          "Each point is a quantisation type. Further up writes its answer faster; further left "
          "is a smaller file. The table below has the same figures.");
  DrawYAxis(svg, frame);
  DrawXAxis(svg, frame, kArea.y + kArea.height, fmt::format("file size, {}", unit.name));
  std::vector<Mark> marks;
  for (const PlotPoint* point : points) {
    marks.push_back({PointOf(frame, SizeOf(*point, unit), point->decode_tps), {}, {}, point});
  }
  DrawMarks(svg, marks);
  return Figure("Speed: decode, tokens per second. Higher is better.", std::move(svg).Finish());
}

}  // namespace

std::string TradeOffCharts(const std::vector<PlotPoint>& points) {
  const std::string panels = DivergencePanel(points) + SpeedPanel(points);
  return panels.empty() ? "" : "<div class=\"panels\">\n" + panels + "</div>\n";
}

}  // namespace trimma
