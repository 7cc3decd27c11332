#include "engine/kernel_timing.h"

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "hardware/kernels.h"

namespace trimma::kernel_timing_test {
namespace {

// A budget far too small for all types: the usual ones come first, and what is there is sound.
TEST(KernelTimingTest, ASmallBudgetStillGivesASoundTable) {
  double progress = 0;
  const Json request = {{"budget_seconds", 2.0}, {"threads", 2}, {"pool_bytes", 32 << 20}};
  const auto json = KernelsJob(request, [&](const Json& event) {
    EXPECT_GE(event.at("progress").get<double>(), progress);
    progress = event.at("progress").get<double>();
  });
  ASSERT_TRUE(json.ok()) << json.error().what;
  const auto table = KernelTableFromJson(*json);
  ASSERT_TRUE(table.ok()) << table.error().what;
  EXPECT_LT(table->seconds, 30);  // sanitizers and a busy machine
  ASSERT_EQ(table->devices.size(), EngineGpus().size() + 1);
  const DeviceKernels& host = table->devices.back();
  EXPECT_EQ(host.name, "host");
  EXPECT_EQ(host.threads, 2);
  EXPECT_GT(host.op_seconds + host.graph_seconds, 0);
  EXPECT_FALSE(host.memory.empty());
  EXPECT_TRUE(host.attention.count("f16"));
  for (const auto& [name, kernel] : host.weights) {
    EXPECT_GT(kernel.matvec_bytes_per_s, 1e6) << name;
    EXPECT_LT(kernel.matvec_bytes_per_s, 1e13) << name;
    EXPECT_GT(kernel.matmul_flops, 1e6) << name;
    EXPECT_LT(kernel.matmul_flops, 1e15) << name;
  }
}

}  // namespace
}  // namespace trimma::kernel_timing_test
