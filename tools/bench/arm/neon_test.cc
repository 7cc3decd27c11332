// That what is tested here is NEON: where Highway found no use for it, all would pass on other
// code.
#include <gtest/gtest.h>

#include <string>

#include "quantize/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "neon_test.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {
const char* Name() { return hwy::TargetName(HWY_TARGET); }
}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {
HWY_EXPORT(Name);

TEST(NeonTest, IsWhatTheKernelsRun) {
  EXPECT_EQ(std::string(HWY_DYNAMIC_DISPATCH(Name)()), "NEON");
}

}  // namespace trimma
#endif
