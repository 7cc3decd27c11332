#include "report/svg.h"

#include <fmt/format.h>

#include "report/html.h"

namespace trimma {
namespace {

const char* NameOf(Anchor anchor) {
  switch (anchor) {
    case Anchor::kStart:
      return "start";
    case Anchor::kMiddle:
      return "middle";
    case Anchor::kEnd:
      break;
  }
  return "end";
}

}  // namespace

bool Overlap(const Box& a, const Box& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

Svg::Svg(double height, std::string_view title, std::string_view description)
    : svg_(fmt::format("<svg role=\"img\" viewBox=\"0 0 {} {}\"><title>{}</title><desc>{}</desc>\n",
                       kChartWidth, height, Html(title), Html(description))) {}

void Svg::Line(Point from, Point to, std::string_view css) {
  svg_ +=
      fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                  css, from.x, from.y, to.x, to.y);
}

void Svg::Rect(const Box& box, std::string_view css) {
  svg_ += fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", css,
      box.x, box.y, box.width, box.height);
}

void Svg::Circle(Point centre, double radius, std::string_view css) {
  svg_ += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>\n", css,
                      centre.x, centre.y, radius);
}

void Svg::Text(Point at, Anchor anchor, std::string_view text, std::string_view css) {
  svg_ += fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n",
                      css, at.x, at.y, NameOf(anchor), Html(text));
}

std::string Svg::Finish() && { return std::move(svg_) + "</svg>\n"; }

std::string Figure(std::string_view caption, const std::string& chart) {
  return fmt::format("<figure><figcaption>{}</figcaption>\n{}</figure>\n", Html(caption), chart);
}

}  // namespace trimma
