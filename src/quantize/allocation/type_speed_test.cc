#include "quantize/allocation/type_speed.h"

#include <gtest/gtest.h>

#include "support/tiny_model.h"

namespace trimma::type_speed_test {
namespace {

using namespace tensor_type;

GgufFile Source() {
  TinyModelOptions shape;
  shape.embedding = 256;
  shape.feed_forward = 512;
  shape.layers = 3;
  shape.tied = false;
  const std::string bytes = Assemble(MakeTinyModel(shape));
  auto file = ParseGguf(bytes, bytes.size(), "tiny.gguf");
  CHECK(file.ok());
  return *file;
}

// Q4_K twice as slow a byte as Q5_K in both, and nothing known of Q3_K.
SpeedTarget Target() {
  SpeedTarget target;
  DeviceKernels& host = target.host;
  host.name = "host";
  host.backend = "CPU";
  host.threads = 2;
  host.weights["f16"] = host.weights["q5_K"] =
      host.weights["q8_0"] = {1e-6, 4e9, 8e9, 2e-6, 1e11, 1e11};
  host.weights["q4_K"] = {1e-6, 2e9, 4e9, 2e-6, 5e10, 5e10};
  host.attention["f16"] = {2e-6, 1e-9, 1e-10, 5e-10, 1e-11};
  host.elements = {1e-10, 1e-10, 1e-10, 1e-10, 1e-10};
  host.memory = {{1e6, 8e9}, {2.5e8, 4e9}};
  host.op_seconds = host.norm_op_seconds = host.new_op_seconds = 2e-6;
  host.graph_seconds = 1e-5;
  target.settings.gpu_layers = 0;
  return target;
}

std::vector<TensorType> All(const GgufFile& file, TensorType type) {
  std::vector<TensorType> types;
  for (const TensorInfo& tensor : file.tensors)
    types.push_back(tensor.type == kF16 ? type : tensor.type);
  return types;
}

size_t Place(const GgufFile& file, const std::string& name) {
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    if (file.tensors[i].name == name) return i;
  }
  ADD_FAILURE() << name;
  return 0;
}

TEST(TypeSpeedTest, ExtrasAddUpToWhatTheWholeTakesMore) {
  const GgufFile file = Source();
  TypeSpeed speed(file, Target(), All(file, kQ5_K));
  const auto base = speed.Of(All(file, kQ5_K));
  const auto slow = speed.Of(All(file, kQ4_K));
  ASSERT_TRUE(base && slow);
  EXPECT_GT(slow->token, base->token);
  EXPECT_GT(slow->prompt, base->prompt);
  Seconds sum;
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    if (file.tensors[i].type != kF16) continue;
    const auto extra = speed.Extra(i, kQ4_K);
    ASSERT_TRUE(extra) << file.tensors[i].name;
    sum.token += extra->token;
    sum.prompt += extra->prompt;
  }
  // Working sets and the starts of products don't quite add up.
  EXPECT_NEAR(sum.token, slow->token - base->token, 0.1 * (slow->token - base->token));
  EXPECT_NEAR(sum.prompt, slow->prompt - base->prompt, 0.1 * (slow->prompt - base->prompt));
}

TEST(TypeSpeedTest, ATableThatIsOnlyLookedUpCostsNoTime) {
  const GgufFile file = Source();
  TypeSpeed speed(file, Target(), All(file, kQ5_K));
  const auto table = speed.Extra(Place(file, "token_embd.weight"), kQ4_K);
  const auto matrix = speed.Extra(Place(file, "blk.1.ffn_up.weight"), kQ4_K);
  ASSERT_TRUE(table && matrix);
  EXPECT_EQ(table->token, 0);
  EXPECT_GT(matrix->token, 0);
  EXPECT_EQ(speed.Extra(Place(file, "blk.1.ffn_up.weight"), kQ5_K)->token, 0) << "the base's own";
}

TEST(TypeSpeedTest, WhatWasNotMeasuredIsNotGuessed) {
  const GgufFile file = Source();
  TypeSpeed speed(file, Target(), All(file, kQ5_K));
  EXPECT_FALSE(speed.Extra(Place(file, "blk.1.ffn_up.weight"), kQ3_K));
  TypeSpeed blind(file, Target(), All(file, kQ3_K));
  EXPECT_FALSE(blind.Of(All(file, kQ3_K)));
  EXPECT_FALSE(blind.Extra(Place(file, "blk.1.ffn_up.weight"), kQ5_K));
}

}  // namespace
}  // namespace trimma::type_speed_test
