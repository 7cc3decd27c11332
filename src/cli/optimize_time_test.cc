#include "cli/optimize_time.h"

#include <gtest/gtest.h>

namespace trimma {
namespace {

TEST(TuningShareTest, HasWhatNoOtherStepNeeds) {
  EXPECT_DOUBLE_EQ(TuningShare(true, false), 1.0 / 3);   // made and judged, then side by side
  EXPECT_DOUBLE_EQ(TuningShare(false, false), 1.0 / 2);  // lowered: judged, side by side
  EXPECT_DOUBLE_EQ(TuningShare(false, true), 2.0 / 3);   // kept: judged
}

}  // namespace
}  // namespace trimma
