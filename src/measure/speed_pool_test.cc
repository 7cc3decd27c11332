#include "measure/speed_pool.h"

#include <gtest/gtest.h>

namespace trimma::speed_pool_test {
namespace {

TEST(SpeedPoolTest, OnACardALongerContextThanIsMeasuredIsProvenFirst) {
  RuntimeSettings settings;
  settings.context = 32768;
  EXPECT_TRUE(MustProveItFits(settings, 1024, true));
  EXPECT_FALSE(MustProveItFits(settings, 32768, true)) << "it is measured wholly";
  EXPECT_FALSE(MustProveItFits(settings, 1024, false)) << "memory of a host isn't filled for it";
  settings.use_gpu = false;
  EXPECT_FALSE(MustProveItFits(settings, 1024, true));
}

}  // namespace
}  // namespace trimma::speed_pool_test
