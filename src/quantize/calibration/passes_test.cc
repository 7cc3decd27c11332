#include "quantize/calibration/passes.h"

#include <gtest/gtest.h>

namespace trimma::passes_test {
namespace {

constexpr uint64_t kSmall = uint64_t{512} * 512 * 4;  // bytes of a moment of 512 inputs
using Passes = std::vector<std::vector<size_t>>;
using Devices = std::vector<std::optional<size_t>>;

std::vector<ModelInput> Inputs(const std::vector<uint64_t>& widths) {
  std::vector<ModelInput> inputs;
  for (const uint64_t n : widths)
    inputs.push_back({std::string(1, static_cast<char>('a' + inputs.size())), n, 0});
  return inputs;
}

SumsPlan OnHost(std::vector<ModelInput>& inputs, uint64_t bytes) {
  return PlanPasses(inputs, Devices(inputs.size()), {bytes, {}}, PassCost::kMuch);
}

TEST(PlanPassesTest, InputsThatFitTogetherArePassedTogether) {
  std::vector<ModelInput> inputs = Inputs({512, 512, 1024});
  EXPECT_EQ(OnHost(inputs, 100 * kSmall).passes, (Passes{{0, 1, 2}}));
  const SumsPlan plan = OnHost(inputs, 4 * kSmall);
  EXPECT_EQ(plan.passes, (Passes{{0, 1}, {2}}));
  EXPECT_EQ(plan.devices, Devices(3));
  for (const ModelInput& input : inputs) EXPECT_EQ(input.block, input.n);
}

TEST(PlanPassesTest, AnInputTooWideForTheMemoryIsCutIntoBlocks) {
  std::vector<ModelInput> inputs = Inputs({4096});
  EXPECT_EQ(OnHost(inputs, uint64_t{4096} * 1024 * 4).passes.size(), 1);
  EXPECT_EQ(inputs[0].block, 1024);
  // Rows that 256 doesn't divide can't be cut.
  std::vector<ModelInput> odd = Inputs({4100});
  EXPECT_EQ(OnHost(odd, 1).passes.size(), 1);
  EXPECT_EQ(odd[0].block, 4100);
}

TEST(PlanPassesTest, ADeviceTakesWhatLiesOnItBesideTheLargestProduct) {
  std::vector<ModelInput> inputs = Inputs({512, 512, 512, 512});
  const Devices lies_on = {0, 0, 0, 0};
  SumsPlan plan = PlanPasses(inputs, lies_on, {kSmall, {5 * kSmall}}, PassCost::kLittle);
  EXPECT_EQ(plan.passes, (Passes{{0, 1, 2, 3}}));
  EXPECT_EQ(plan.devices, lies_on);
  // As many passes as it takes.
  plan = PlanPasses(inputs, lies_on, {100 * kSmall, {3 * kSmall}}, PassCost::kLittle);
  EXPECT_EQ(plan.passes, (Passes{{0, 1}, {2, 3}}));
  EXPECT_EQ(plan.devices, lies_on);
}

TEST(PlanPassesTest, WhatIsTooWideForTheDeviceIsSummedUpOnTheHostInFull) {
  std::vector<ModelInput> inputs = Inputs({512, 1024});
  const SumsPlan plan = PlanPasses(inputs, {0, 0}, {100 * kSmall, {5 * kSmall}}, PassCost::kLittle);
  EXPECT_EQ(plan.passes, (Passes{{0, 1}}));
  EXPECT_EQ(plan.devices, (Devices{0, std::nullopt}));
  EXPECT_EQ(inputs[1].block, 1024);
}

TEST(PlanPassesTest, WherePassesCostMuchADeviceAddsNone) {
  std::vector<ModelInput> inputs = Inputs({512, 512, 512, 512, 512, 512});
  const Devices lies_on = {std::nullopt, 0, 0, 0, 0, 0};
  const SumsPlan plan = PlanPasses(inputs, lies_on, {3 * kSmall, {2 * kSmall}}, PassCost::kMuch);
  EXPECT_EQ(plan.passes, (Passes{{0, 1, 3, 4}, {2, 5}}));
  EXPECT_EQ(plan.devices, (Devices{std::nullopt, 0, 0, std::nullopt, std::nullopt, std::nullopt}));
}

TEST(PlanPassesTest, EveryDeviceHasMemoryOfItsOwn) {
  std::vector<ModelInput> inputs = Inputs({512, 512, 512});
  const SumsPlan plan =
      PlanPasses(inputs, {1, 0, 1}, {kSmall, {2 * kSmall, 2 * kSmall}}, PassCost::kLittle);
  EXPECT_EQ(plan.passes, (Passes{{0, 1}, {2}}));
  EXPECT_EQ(plan.devices, (Devices{1, 0, 1}));
}

}  // namespace
}  // namespace trimma::passes_test
