#include "report/labels.h"

#include <algorithm>
#include <array>

namespace trimma {
namespace {

constexpr double kCharWidth = 6.7;
constexpr double kTextHeight = 13;
constexpr double kBaseline = 10;  // from the top of the text's box

struct Direction {
  double x, y;
};

// The right of a point is where readers look first.
constexpr std::array kDirections = {Direction{1, 0},   Direction{-1, 0}, Direction{0, -1},
                                    Direction{0, 1},   Direction{1, -1}, Direction{1, 1},
                                    Direction{-1, -1}, Direction{-1, 1}};
constexpr std::array kDistances = {4.0, 9.0, 20.0, 32.0};
constexpr double kFar = 10;  // beyond, a label needs a line to its point

Box BoxAt(const Label& label, const Direction& direction, double distance) {
  const double width = TextWidth(label.text);
  const double gap = label.radius + distance;
  // A text box is placed by the side (or corner) that faces the point.
  return {label.point.x + direction.x * gap + (direction.x - 1) * width / 2,
          label.point.y + direction.y * gap + (direction.y - 1) * kTextHeight / 2, width,
          kTextHeight};
}

bool Inside(const Box& box, const Box& bounds) {
  return box.x >= bounds.x && box.y >= bounds.y && box.x + box.width <= bounds.x + bounds.width &&
         box.y + box.height <= bounds.y + bounds.height;
}

// The side of `box` that faces the point it was placed from.
Point NearSide(const Box& box, const Direction& direction) {
  return {box.x + box.width * (1 - direction.x) / 2, box.y + box.height * (1 - direction.y) / 2};
}

PlacedLabel PlacedIn(const Box& box, const Direction& direction) {
  const double y = box.y + kBaseline;
  if (direction.x > 0) return {{box.x, y}, Anchor::kStart, std::nullopt};
  if (direction.x < 0) return {{box.x + box.width, y}, Anchor::kEnd, std::nullopt};
  return {{box.x + box.width / 2, y}, Anchor::kMiddle, std::nullopt};
}

// A line from a mark's rim to its label, as small boxes to test against others.
std::vector<Box> LeaderBoxes(const Label& label, const Direction& direction, const Point& to) {
  const Point from = {label.point.x + direction.x * (label.radius + 1),
                      label.point.y + direction.y * (label.radius + 1)};
  constexpr int kPieces = 8;
  std::vector<Box> boxes;
  for (int i = 0; i <= kPieces; ++i) {
    const double share = static_cast<double>(i) / kPieces;
    boxes.push_back(
        {from.x + share * (to.x - from.x) - 0.5, from.y + share * (to.y - from.y) - 0.5, 1, 1});
  }
  return boxes;
}

bool Free(const std::vector<Box>& boxes, const std::vector<Box>& taken) {
  return std::none_of(taken.begin(), taken.end(), [&](const Box& other) {
    return std::any_of(boxes.begin(), boxes.end(),
                       [&](const Box& box) { return Overlap(box, other); });
  });
}

std::optional<PlacedLabel> PlaceOne(const Label& label, std::vector<Box>& taken,
                                    const Box& bounds) {
  for (const double distance : kDistances) {
    for (const Direction& direction : kDirections) {
      const Box box = BoxAt(label, direction, distance);
      PlacedLabel placed = PlacedIn(box, direction);
      std::vector<Box> wanted;
      if (distance > kFar) {
        placed.leader_to = NearSide(box, direction);
        wanted = LeaderBoxes(label, direction, *placed.leader_to);
      }
      wanted.push_back(box);
      if (!Inside(box, bounds) || !Free(wanted, taken)) continue;
      taken.insert(taken.end(), wanted.begin(), wanted.end());
      return placed;
    }
  }
  return std::nullopt;
}

}  // namespace

double TextWidth(const std::string& text) { return kCharWidth * static_cast<double>(text.size()); }

std::vector<std::optional<PlacedLabel>> PlaceLabels(const std::vector<Label>& labels,
                                                    std::vector<Box> taken, const Box& bounds) {
  for (const Label& label : labels) {
    taken.push_back({label.point.x - label.radius, label.point.y - label.radius, 2 * label.radius,
                     2 * label.radius});
  }
  std::vector<std::optional<PlacedLabel>> placed;
  placed.reserve(labels.size());
  for (const Label& label : labels) placed.push_back(PlaceOne(label, taken, bounds));
  return placed;
}

}  // namespace trimma
