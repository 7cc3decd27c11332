#include "quantize/craft_plan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::craft_plan_test {
namespace {

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

class CraftPlanTest : public testing::Test {
 protected:
  CraftPlanTest() {
    TinyModelOptions shape;
    shape.embedding = 256;
    shape.feed_forward = 512;
    WriteTinyModel(tree_ / "source.gguf", shape);
    std::string text;
    for (int i = 0; i < 2600; ++i) text += static_cast<char>('!' + (i * 7 + i / 11) % 90);
    tree_.Write("text.txt", text);
  }

  QuantizeOptions Sized(uint64_t bytes) {
    QuantizeOptions options;
    options.source = tree_ / "source.gguf";
    options.output = tree_ / "made.gguf";
    options.calibration_text = tree_ / "text.txt";
    options.work_directory = tree_ / "work";
    options.size_bytes = bytes;
    options.compensate = true;
    options.threads = 2;
    return options;
  }

  // Every file, with its bytes and its time.
  std::map<std::string, std::pair<std::string, int64_t>> Snapshot() const {
    std::map<std::string, std::pair<std::string, int64_t>> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(tree_ / ".")) {
      if (!entry.is_regular_file()) continue;
      files[entry.path()] = {*ReadSmallFile(entry.path()),
                             entry.last_write_time().time_since_epoch().count()};
    }
    return files;
  }

  using Stages = std::vector<std::string>;
  static constexpr uint64_t kSize = 900'000;
  TempTree tree_;
};

TEST_F(CraftPlanTest, BeforeAnythingIsMeasuredTheBoundsAreKnown) {
  const auto before = Snapshot();
  const auto plan = PlanCraft(Sized(kSize));
  ASSERT_TRUE(plan.ok()) << plan.error().what;
  EXPECT_FALSE(plan->report.has_value());
  EXPECT_EQ(plan->types_from, "");
  EXPECT_EQ(plan->most_bytes, kSize);
  ASSERT_TRUE(plan->least_bytes.has_value());
  EXPECT_GT(*plan->least_bytes, kSize / 10);
  EXPECT_TRUE(plan->kept.empty());
  EXPECT_EQ(plan->to_do.size(), 4);
  EXPECT_EQ(plan->inputs, 9) << "4 a layer, and the head's";
  EXPECT_EQ(plan->passes, 1);
  EXPECT_EQ(plan->blocked, 0);
  EXPECT_TRUE(Snapshot() == before) << "something was written";

  QuantizeOptions least = Sized(*plan->least_bytes);
  EXPECT_TRUE(PlanCraft(least).ok());
  least.size_bytes = *plan->least_bytes - 1;
  EXPECT_EQ(PlanCraft(least).error().code, Code::kNoFit);
}

TEST_F(CraftPlanTest, LittleMemoryTakesMorePassesAndBlocks) {
  QuantizeOptions options = Sized(kSize);
  options.memory_bytes = 300 << 10;  // one moment of 256 x 256 floats
  const auto plan = PlanCraft(options);
  ASSERT_TRUE(plan.ok()) << plan.error().what;
  EXPECT_EQ(plan->passes, 9);
  EXPECT_EQ(plan->blocked, 2) << "the wide inputs of ffn_down";
}

TEST_F(CraftPlanTest, FromKeptMeasurementsTheFileIsForetold) {
  const auto first = Quantize(Sized(kSize));
  ASSERT_TRUE(first.ok()) << first.error().what;
  const auto before = Snapshot();
  QuantizeOptions other = Sized(kSize / 10 * 9);
  other.output = tree_ / "other.gguf";
  const auto plan = PlanCraft(other);
  ASSERT_TRUE(plan.ok()) << plan.error().what;
  EXPECT_TRUE(Snapshot() == before) << "something was written";
  EXPECT_EQ(plan->types_from, "kept measurements");
  EXPECT_EQ(plan->to_do, Stages{"quantising"});
  EXPECT_EQ(plan->passes, 0);
  ASSERT_TRUE(plan->report.has_value());
  const auto made = Quantize(other);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_EQ(plan->report->file_bytes, made->file_bytes);
  EXPECT_EQ(plan->report->expected_loss, made->expected_loss);
  ASSERT_EQ(plan->report->tensors.size(), made->tensors.size());
  for (size_t i = 0; i < made->tensors.size(); ++i)
    EXPECT_EQ(plan->report->tensors[i].to, made->tensors[i].to) << made->tensors[i].name;
}

TEST_F(CraftPlanTest, ARecipeIsKnownWithoutMeasuring) {
  QuantizeOptions options = Sized(kSize);
  options.size_bytes.reset();
  options.recipe = FindFileType("Q4_K_M");
  const auto plan = PlanCraft(options);
  ASSERT_TRUE(plan.ok()) << plan.error().what;
  EXPECT_EQ(plan->types_from, "the recipe Q4_K_M");
  EXPECT_EQ(plan->to_do, (Stages{"reading the calibration text", "quantising"}));
  ASSERT_TRUE(plan->report.has_value());
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_EQ(plan->report->file_bytes, made->file_bytes);

  options.recipe_file = tree_ / "r.json";
  tree_.Write("r.json", R"({"schema":"trimma.recipe/1","file_type":"Q8_0","tensors":[]})");
  options.recipe = nullptr;
  EXPECT_EQ(PlanCraft(options).error().code, Code::kInvalid);
}

TEST_F(CraftPlanTest, StagesOfAnotherRunAreLeftThereAndSaid) {
  QuantizeOptions options = Sized(kSize);
  options.work_directory.reset();
  tree_.Write("made.gguf.trimma-work/key.json", "another key");
  tree_.Write("made.gguf.trimma-work/moments.gguf", "moments");
  const auto before = Snapshot();
  const auto plan = PlanCraft(options);
  ASSERT_TRUE(plan.ok()) << plan.error().what;
  EXPECT_TRUE(Snapshot() == before);
  EXPECT_TRUE(plan->kept.empty());
  ASSERT_EQ(plan->notes.size(), 1);
  EXPECT_NE(plan->notes[0].find("would be removed"), std::string::npos);
}

TEST_F(CraftPlanTest, JsonSaysNullOfWhatIsNotKnown) {
  const auto plan = PlanCraft(Sized(kSize));
  ASSERT_TRUE(plan.ok());
  const Json json = ToJson(*plan);
  EXPECT_EQ(json["schema"], "trimma.quantize/1");
  EXPECT_TRUE(json["file_bytes"].is_null());
  EXPECT_TRUE(json["tensors"].empty());
  EXPECT_EQ(json["most_bytes"], kSize);
  EXPECT_EQ(json["least_bytes"], *plan->least_bytes);
  EXPECT_EQ(json["passes"], 1);
  EXPECT_EQ(json["stages"]["to_do"].size(), 4);
}

}  // namespace
}  // namespace trimma::craft_plan_test
