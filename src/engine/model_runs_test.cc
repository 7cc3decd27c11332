#include "engine/model_runs.h"

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "gguf/soundness.h"

namespace trimma {
namespace {

TEST(ModelRunsTest, ARunsFileIsASoundModelOfThatShape) {
  const ModelRun shape = {"q8_0", 3, 256, 768};
  const GgufFile file = FileOfRun(shape);
  EXPECT_TRUE(CheckModel(file).ok());
  EXPECT_EQ(file.architecture(), "llama");
  EXPECT_EQ(file.metadata.Integer("llama.block_count"), 3);
  const TensorInfo* down = file.FindTensor("blk.2.ffn_down.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->shape, (std::vector<uint64_t>{768, 256}));
  EXPECT_EQ(down->type, tensor_type::kQ8_0);
}

TEST(ModelRunsTest, RunsGoOnAsLongAsTheyMay) {
  ASSERT_TRUE(StartEngine().ok());
  int asked = 0;
  const auto runs = RunModels(2, 0.01, [&](double share) {
    EXPECT_GE(share, 0);
    return ++asked < 2;
  });
  ASSERT_TRUE(runs.ok()) << runs.error().what;
  ASSERT_EQ(runs->size(), 1U);
  EXPECT_GT(runs->front().token_seconds, 0);
  EXPECT_GT(runs->front().prompt_seconds, 0);
  EXPECT_GT(runs->front().depth, 0);
}

}  // namespace
}  // namespace trimma
