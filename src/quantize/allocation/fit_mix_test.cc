#include "quantize/allocation/fit_mix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/units.h"

namespace trimma::fit_mix_test {
namespace {

// Files of which a device holds a share, beside something fixed. A mix is its bytes, as a note.
struct Device {
  int64_t free = 0;
  double share = 1;
  int trials = 0;

  Result<std::optional<FittedMix>> Fit(uint64_t least, uint64_t most) {
    FitQuestion question;
    question.least_bytes = least;
    question.most_bytes = most;
    question.choose = [&](uint64_t bytes) -> Result<ChosenMix> {
      ++trials;
      ChosenMix mix;
      mix.assignment.notes = {std::to_string(bytes)};
      return mix;
    };
    question.room = [&](const Assignment& mix) -> Result<int64_t> {
      const double bytes = std::stod(mix.notes[0]);
      return free - static_cast<int64_t>(share * bytes);
    };
    return FitMix(question);
  }
};

TEST(FitMixTest, FindsTheLargestThatFits) {
  for (const double share : {1.0, 0.7, 1.3}) {
    Device device{1000 * kMiB, share};
    const auto fitted = device.Fit(100 * kMiB, 4000 * kMiB);
    ASSERT_TRUE(fitted.ok() && fitted->has_value()) << share;
    const double largest = 1000.0 * kMiB / share;
    EXPECT_LE((*fitted)->budget_bytes, largest) << share;
    EXPECT_GT((*fitted)->budget_bytes, largest - 2.0 * kFitStep) << share;
    EXPECT_GE((*fitted)->room_bytes, 0) << share;
    EXPECT_LE(device.trials, 25) << share;
  }
}

TEST(FitMixTest, NothingIsLargerThanTheSource) {
  Device device{1000 * kMiB};
  const auto fitted = device.Fit(100 * kMiB, 400 * kMiB);
  ASSERT_TRUE(fitted.ok() && fitted->has_value());
  EXPECT_EQ((*fitted)->budget_bytes, 400 * kMiB);
}

TEST(FitMixTest, WhereTheSmallestHasNoRoomThereIsNone) {
  Device device{99 * kMiB};
  const auto fitted = device.Fit(100 * kMiB, 400 * kMiB);
  ASSERT_TRUE(fitted.ok());
  EXPECT_FALSE(fitted->has_value());
  EXPECT_EQ(device.trials, 1);
}

TEST(FitMixTest, AnErrorEndsTheSearch) {
  FitQuestion question;
  question.choose = [](uint64_t) -> Result<ChosenMix> { return Error{Code::kBusy, "x", ""}; };
  EXPECT_EQ(FitMix(question).error().code, Code::kBusy);
}

}  // namespace
}  // namespace trimma::fit_mix_test
