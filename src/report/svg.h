// Drawing shapes into inline SVG. Colours come from classes, so that the page's style sheet
// can turn them for dark mode and print.
#pragma once

#include <string>
#include <string_view>

namespace trimma {

struct Point {
  double x = 0;
  double y = 0;  // downwards
};

struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

bool Overlap(const Box& a, const Box& b);

enum class Anchor { kStart, kMiddle, kEnd };  // which end of a text stands at its point

// Text is set in 11 units; a chart is drawn this wide, which a phone shows at about full size.
inline constexpr double kChartWidth = 360;

class Svg {
 public:
  // Title and description are what a screen reader says of the chart.
  Svg(double height, std::string_view title, std::string_view description);

  void Line(Point from, Point to, std::string_view css);
  void Rect(const Box& box, std::string_view css);
  void Circle(Point centre, double radius, std::string_view css);
  void Text(Point at, Anchor anchor, std::string_view text, std::string_view css = "");

  std::string Finish() &&;

 private:
  std::string svg_;
};

// A chart with its caption. `caption` is plain text, `chart` finished markup.
std::string Figure(std::string_view caption, const std::string& chart);

}  // namespace trimma
