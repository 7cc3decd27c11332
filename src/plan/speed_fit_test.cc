#include "plan/speed_fit.h"

#include <gtest/gtest.h>

#include "engine/model_runs.h"
#include "plan/speed.h"

namespace trimma {
namespace {

DeviceKernels Host() {
  DeviceKernels host;
  host.name = "host";
  host.threads = 4;
  for (const char* type : {"f32", "f16", "q8_0", "q4_K"})
    host.weights[type] = {4e-6, 4e10, 8e10, 2e-5, 5e11, 4e11};
  host.attention["f16"] = {2e-6, 1e-9, 1e-10, 5e-10, 1e-11};
  host.elements = {1e-10, 1e-10, 1e-10, 1e-10, 1e-10};
  host.memory = {{1e6, 8e10}, {2.5e8, 4e10}};
  host.op_seconds = 2e-6;
  host.norm_op_seconds = 2e-6;
  host.new_op_seconds = 2e-6;
  host.graph_seconds = 1e-5;
  return host;
}

// The same host, were its starts and its reading so many times as long.
DeviceKernels Changed(double starts, double reading) {
  DeviceKernels host = Host();
  host.op_seconds *= starts;
  host.norm_op_seconds *= starts;
  host.graph_seconds *= starts;
  for (auto& [name, kernel] : host.weights) {
    kernel.matvec_seconds *= starts;
    kernel.matvec_bytes_per_s /= reading;
    kernel.cached_bytes_per_s /= reading;
  }
  host.attention["f16"].token_seconds *= starts;
  return host;
}

std::vector<ModelRun> Shapes() {
  return {{"q8_0", 16, 256, 768, 80}, {"q4_K", 24, 512, 1536, 80}, {"q8_0", 3, 2048, 5632, 80}};
}

RuntimeSettings OnTheHost() {
  RuntimeSettings settings;
  settings.gpu_layers = 0;
  return settings;
}

// Host(), whose runs took what they take on `real`, a prompt `prompt` times as long.
DeviceKernels WithRuns(const DeviceKernels& real, double prompt) {
  DeviceKernels host = Host();
  for (ModelRun run : Shapes()) {
    const SpeedModel model(FileOfRun(run), {}, {}, real);
    run.token_seconds = *model.TokenSeconds(OnTheHost(), run.depth);
    run.prompt_seconds = prompt * *model.PromptSeconds(OnTheHost(), 512);
    host.runs.push_back(run);
  }
  return host;
}

TEST(SpeedFitTest, SharesThatMadeTheRunsAreFound) {
  for (const auto& [starts, reading] : {std::pair{0.2, 0.9}, {1.0, 1.0}, {1.7, 1.2}}) {
    const Together found = FitTogether(WithRuns(Changed(starts, reading), 1));
    EXPECT_NEAR(found.starts, starts, 0.05 * starts);
    EXPECT_NEAR(found.reading, reading, 0.05 * reading);
  }
}

TEST(SpeedFitTest, WhatIsPredictedOfARunIsWhatItTook) {
  const DeviceKernels host = WithRuns(Changed(0.3, 0.8), 1);
  const DeviceKernels seen = InModels(host);
  EXPECT_TRUE(seen.runs.empty());
  for (const ModelRun& run : host.runs) {
    const auto seconds =
        SpeedModel(FileOfRun(run), {}, {}, seen).TokenSeconds(OnTheHost(), run.depth);
    ASSERT_TRUE(seconds);
    EXPECT_NEAR(*seconds / run.token_seconds, 1, 0.05);
  }
}

TEST(SpeedFitTest, PromptsHaveAShareOfTheirOwn) {
  EXPECT_NEAR(FitTogether(WithRuns(Host(), 1)).prompt, 1, 0.01);
  EXPECT_NEAR(FitTogether(WithRuns(Host(), 1.5)).prompt, 1.5, 0.01);
}

TEST(SpeedFitTest, WithoutRunsAllStaysAsItIs) {
  EXPECT_EQ(InModels(Host()), Host());
  DeviceKernels host = Host();
  host.runs = {{"q8_0", 16, 256, 768, 80, 1e-3, 0}};  // one says nothing of two shares
  const Together found = FitTogether(host);
  EXPECT_EQ(found.starts, 1);
  EXPECT_EQ(found.reading, 1);
  EXPECT_EQ(found.prompt, 1);
}

TEST(SpeedFitTest, ADisturbedRunCantTurnAShareNegative) {
  DeviceKernels host = WithRuns(Host(), 1);
  host.runs[0].token_seconds /= 100;
  host.runs[2].token_seconds *= 3;
  const Together found = FitTogether(host);
  EXPECT_GT(found.starts, 0);
  EXPECT_GT(found.reading, 0);
}

}  // namespace
}  // namespace trimma
