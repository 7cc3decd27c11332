// Labels beside the points of a plot, so that none covers another or a point.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/svg.h"

namespace trimma {

struct Label {
  Point point;
  double radius = 5;  // of the mark at the point
  std::string text;
};

struct PlacedLabel {
  Point at;
  Anchor anchor = Anchor::kStart;
  std::optional<Point> leader_to;  // a line from the point to here, where the label is far
};

double TextWidth(const std::string& text);  // an estimate on the safe side, at 11 units

// One answer per label, in order; earlier labels choose first. nullopt where no free place is
// left inside `bounds`: an unlabelled point is better than an unreadable one.
std::vector<std::optional<PlacedLabel>> PlaceLabels(const std::vector<Label>& labels,
                                                    std::vector<Box> taken, const Box& bounds);

}  // namespace trimma
