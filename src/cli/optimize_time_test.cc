#include "cli/optimize_time.h"

#include <gtest/gtest.h>

namespace trimma {
namespace {

TEST(TuningShareTest, HasWhatNoOtherStepNeeds) {
  // Types were made, judged and timed; before and after stand side by side.
  EXPECT_DOUBLE_EQ(TuningShare({true, false, false}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(TuningShare({true, true, false}), 1.0 / 3);
  // Lowered: judged, side by side.
  EXPECT_DOUBLE_EQ(TuningShare({false, true, false}), 1.0 / 2);
  EXPECT_DOUBLE_EQ(TuningShare({false, false, false}), 1.0 / 3);
  // Kept: judged.
  EXPECT_DOUBLE_EQ(TuningShare({false, true, true}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(TuningShare({false, false, true}), 1.0 / 2);
}

}  // namespace
}  // namespace trimma
