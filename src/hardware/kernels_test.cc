#include "hardware/kernels.h"

#include <gtest/gtest.h>

namespace trimma::kernels_test {
namespace {

KernelTable Table() {
  DeviceKernels gpu;
  gpu.name = "NVIDIA H100";
  gpu.backend = "CUDA";
  gpu.copy_bytes_per_s = 2e10;
  gpu.sync_seconds = 3e-5;
  gpu.measured = false;
  DeviceKernels host;
  host.name = "host";
  host.backend = "CPU";
  host.threads = 2;
  host.weights["q4_K"] = {3e-6, 7e9, 2e10, 2e-5, 1.3e11, 1.2e11};
  host.attention["f16"] = {1e-6, 2e-9, 1e-10, 3e-9, 3e-11};
  host.elements = {1e-9, 2e-9, 3e-9, 4e-9, 5e-9};
  host.memory = {{1e6, 3e10}, {2.5e8, 8e9}};
  host.op_seconds = 1.5e-6;
  host.norm_op_seconds = 2e-6;
  host.new_op_seconds = 2e-6;
  host.graph_seconds = 4e-6;
  host.unsteadiness = 0.2;
  return {"de3ff815ea7d", {gpu, host}, 17.5};
}

TEST(KernelsTest, ATableComesBackFromItsJsonAsItWas) {
  const auto back = KernelTableFromJson(Json::parse(ToJson(Table()).dump()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(*back, Table());
}

TEST(KernelsTest, AFileThatWasTamperedWithIsRefused) {
  for (const Json& bad : {Json(-1.0), Json("fast"), Json(1e30), Json()}) {
    Json json = ToJson(Table());
    json["devices"][1]["weights"]["q4_K"]["matvec_bytes_per_s"] = bad;
    EXPECT_FALSE(KernelTableFromJson(json).ok()) << bad;
  }
  for (const char* key : {"name", "memory", "op_seconds", "weights"}) {
    Json json = ToJson(Table());
    json["devices"][0].erase(key);
    EXPECT_FALSE(KernelTableFromJson(json).ok()) << key;
  }
  EXPECT_FALSE(KernelTableFromJson(Json()).ok());
  EXPECT_FALSE(KernelTableFromJson(Json::array()).ok());
}

}  // namespace
}  // namespace trimma::kernels_test
