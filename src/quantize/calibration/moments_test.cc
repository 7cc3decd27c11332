#include "quantize/calibration/moments.h"

#include <gtest/gtest.h>

#include "engine/activations.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma {
namespace {

TEST(PlanPassesTest, InputsThatFitTogetherArePassedTogether) {
  std::vector<ModelInput> inputs = {{"a", 512, 0}, {"b", 512, 0}, {"c", 1024, 0}};
  const uint64_t small = uint64_t{2} * 512 * 512 * 4;
  EXPECT_EQ(PlanPasses(inputs, 100 * small).size(), 1);
  const auto passes = PlanPasses(inputs, 4 * small);
  ASSERT_EQ(passes.size(), 2);
  EXPECT_EQ(passes[0], (std::vector<size_t>{0, 1}));
  EXPECT_EQ(passes[1], (std::vector<size_t>{2}));
  for (const ModelInput& input : inputs) EXPECT_EQ(input.block, input.n);
}

TEST(PlanPassesTest, AnInputTooWideForTheMemoryIsCutIntoBlocks) {
  std::vector<ModelInput> inputs = {{"wide", 4096, 0}};
  const auto passes = PlanPasses(inputs, uint64_t{2} * 4096 * 1024 * 4);
  EXPECT_EQ(passes.size(), 1);
  EXPECT_EQ(inputs[0].block, 1024);
  // Rows that 256 doesn't divide can't be cut.
  std::vector<ModelInput> odd = {{"odd", 4100, 0}};
  EXPECT_EQ(PlanPasses(odd, 1).size(), 1);
  EXPECT_EQ(odd[0].block, 4100);
}

class GatherTest : public testing::Test {
 protected:
  GatherTest() {
    TinyModelOptions shape;
    shape.context = 64;
    auto loaded = Model::Load(WriteTinyModel(tree_ / "m.gguf", shape), {});
    CHECK(loaded.ok());
    model_.emplace(std::move(loaded).value());
    TokenText text;
    text.description = "some words";
    for (int chunk = 0; chunk < 6; ++chunk) {
      std::vector<Token>& tokens = text.chunks.emplace_back();
      for (int i = 0; i < 32; ++i) tokens.push_back(3 + (chunk * 37 + i * 11) % 256);
    }
    text_ = CutCalibration(text);
  }

  MomentsFile Gathered(uint64_t memory_bytes, int threads, const std::string& name) {
    const auto gathered =
        GatherMoments(*model_, text_, {tree_ / name, memory_bytes, threads}, [](double) {});
    CHECK(gathered.ok());
    passes_ = gathered->passes;
    auto file = MomentsFile::Open(tree_ / name);
    CHECK(file.ok());
    return std::move(file).value();
  }

  TempTree tree_;
  std::optional<Model> model_;
  CalibrationText text_;
  size_t passes_ = 0;
};

TEST_F(GatherTest, TheDiagonalsAreTheImportanceMatrix) {
  const MomentsFile moments = Gathered(1ULL << 30, 2, "a.gguf");
  EXPECT_EQ(passes_, 1);
  EXPECT_EQ(moments.index().dataset, "some words");
  EXPECT_EQ(moments.index().chunks, text_.moments.chunks.size());
  ActivationTap tap;
  Context::Options options;
  options.settings.context = 64;
  options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
  auto context = Context::Create(*model_, options);
  ASSERT_TRUE(context.ok());
  for (const auto& tokens : text_.moments.chunks) {
    context->Clear();
    std::vector<BatchToken> batch;
    for (size_t i = 0; i < tokens.size(); ++i)
      batch.push_back({tokens[i], static_cast<int>(i), 0, true});
    ASSERT_TRUE(context->Decode(batch).ok());
  }
  const auto importance = tap.Take();
  ASSERT_TRUE(importance.ok());
  for (const auto& [name, entry] : importance->entries) {
    const auto input = moments.InputOf(name);
    ASSERT_TRUE(input.has_value()) << name;
    const auto means = moments.MeanSquares(*input);
    ASSERT_TRUE(means.ok());
    const std::vector<float> expected = entry.MeanSquares();
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR((*means)[i], expected[i], 1e-4 * expected[i] + 1e-9) << name;
  }
}

TEST_F(GatherTest, PassesAndThreadsChangeNothing) {
  const MomentsFile at_once = Gathered(1ULL << 30, 1, "a.gguf");
  const MomentsFile in_passes = Gathered(64 << 10, 3, "b.gguf");
  EXPECT_GT(passes_, 1);
  ASSERT_EQ(at_once.index().inputs.size(), in_passes.index().inputs.size());
  for (size_t i = 0; i < at_once.index().inputs.size(); ++i) {
    for (const bool held_out : {false, true}) {
      const auto a = held_out ? at_once.HeldOut(i) : at_once.Moment(i);
      const auto b = held_out ? in_passes.HeldOut(i) : in_passes.Moment(i);
      ASSERT_TRUE(a.ok() && b.ok());
      ASSERT_EQ(a->block(), a->n());
      for (uint64_t row = 0; row < a->n(); ++row) {
        for (uint64_t column = 0; column < a->n(); ++column) {
          EXPECT_EQ(a->Matrix(0)[row * a->stride() + column],
                    b->Matrix(0)[row * b->stride() + column]);
        }
      }
    }
  }
}

TEST_F(GatherTest, AFileOfAnotherKindIsRefused) {
  EXPECT_EQ(MomentsFile::Open(tree_ / "m.gguf").error().code, Code::kInvalid);
  EXPECT_EQ(MomentsFile::Open(tree_ / "none.gguf").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace trimma
