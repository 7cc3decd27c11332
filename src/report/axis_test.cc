#include "report/axis.h"

#include <gtest/gtest.h>

#include "report/labels.h"

namespace trimma::axis_test {
namespace {

TEST(AxisTest, LinearTicksAreRoundAndEncloseTheValues) {
  const Ticks ticks = LinearTicks(16.1, 50.3, 6);
  EXPECT_EQ(ticks.at, (std::vector<double>{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(ticks.low, 10);
  EXPECT_EQ(ticks.high, 60);
}

TEST(AxisTest, OneValueStillMakesAnAxis) {
  for (const double value : {0.0, 1e-9, 7.0, 1e12}) {
    const Ticks ticks = LinearTicks(value, value, 5);
    EXPECT_LT(ticks.low, ticks.high);
    EXPECT_GE(ticks.at.size(), 2U);
    EXPECT_LE(ticks.at.size(), 12U);
  }
  const Ticks log = LogTicks(0.0169, 0.0169);
  EXPECT_LE(log.low, 0.0169);
  EXPECT_GE(log.high, 0.0169);
  EXPECT_GE(log.at.size(), 3U);
}

TEST(AxisTest, LogTicksUseOneTwoFiveOrDecades) {
  EXPECT_EQ(TickLabel(LogTicks(0.0013, 0.053).at[1]), "0.002");
  const Ticks wide = LogTicks(1e-7, 3);
  EXPECT_LE(wide.at.size(), 9U);
  EXPECT_LE(wide.low, 1e-7);
  EXPECT_GE(wide.high, 3);
}

TEST(AxisTest, PlacesWithinTheArea) {
  const Frame frame = {{50, 10, 300, 200}, LinearTicks(0, 10, 5), LogTicks(0.001, 0.1), true};
  const Point middle = PointOf(frame, 5, 0.01);
  EXPECT_NEAR(middle.x, 200, 1e-6);
  EXPECT_NEAR(middle.y, 110, 1e-6);
  EXPECT_NEAR(PointOf(frame, 5, 0).y, 210, 1e-6);  // zero has no logarithm
  EXPECT_NEAR(PointOf(frame, 99, 1).x, 350, 1e-6);
}

TEST(LabelsTest, NoLabelCoversAnother) {
  std::vector<Label> labels;
  for (int i = 0; i < 12; ++i) labels.push_back({{100.0 + 4 * i, 100.0 + 3 * i}, 5, "Q4_K_M"});
  const Box bounds = {0, 0, 360, 280};
  const auto placed = PlaceLabels(labels, {}, bounds);
  ASSERT_EQ(placed.size(), labels.size());
  EXPECT_TRUE(placed[0]);
  std::vector<Box> boxes;
  for (const auto& label : placed) {
    if (!label) continue;
    const double width = TextWidth("Q4_K_M");
    const double share = label->anchor == Anchor::kStart ? 0
                         : label->anchor == Anchor::kEnd ? 1
                                                         : 0.5;
    const Box box = {label->at.x - share * width, label->at.y - 10, width, 13};
    for (const Box& other : boxes) EXPECT_FALSE(Overlap(box, other));
    EXPECT_GE(box.x, 0);
    boxes.push_back(box);
  }
  EXPECT_GE(boxes.size(), 4U);
}

TEST(LabelsTest, LeavesOutWhatHasNoPlace) {
  const auto placed = PlaceLabels({{{10, 10}, 5, std::string(200, 'x')}}, {}, {0, 0, 360, 280});
  EXPECT_FALSE(placed[0]);
}

}  // namespace
}  // namespace trimma::axis_test
