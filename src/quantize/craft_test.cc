#include "quantize/craft.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "engine/model.h"
#include "hardware/temp_tree.h"
#include "quantize/recipe_file.h"
#include "quantize/stages.h"
#include "support/tiny_model.h"

namespace trimma::craft_test {
namespace {

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

class CraftTest : public testing::Test {
 protected:
  CraftTest() {
    TinyModelOptions shape;
    shape.embedding = 256;
    shape.feed_forward = 512;
    shape.layers = 2;
    WriteTinyModel(tree_ / "source.gguf", shape);
    std::string text;
    for (int i = 0; i < 2600; ++i) text += static_cast<char>('!' + (i * 7 + i / 11) % 90);
    tree_.Write("text.txt", text);
  }

  QuantizeOptions Options(const std::string& output = "made.gguf") {
    QuantizeOptions options;
    options.source = tree_ / "source.gguf";
    options.output = tree_ / output;
    options.calibration_text = tree_ / "text.txt";
    options.threads = 2;
    return options;
  }

  uint64_t BytesOf(const char* recipe) {
    QuantizeOptions options = Options();
    options.recipe = FindFileType(recipe);
    const auto planned = PlanQuantize(options);
    CHECK(planned.ok());
    return planned->file_bytes;
  }

  TempTree tree_;
};

TEST_F(CraftTest, AFileOfASizeIsNoLargerAndRuns) {
  QuantizeOptions options = Options();
  options.size_bytes = BytesOf("Q4_K_M");
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_LE(made->file_bytes, *options.size_bytes);
  EXPECT_GT(made->file_bytes, *options.size_bytes / 10 * 9);
  ASSERT_TRUE(made->expected_loss.has_value());
  EXPECT_GT(*made->expected_loss, 0);
  EXPECT_FALSE(std::filesystem::exists(options.output + ".trimma-work"));
  const auto file = ReadGguf(options.output);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata.String("quantize.imatrix.dataset"), "text.txt");
  EXPECT_EQ(file->metadata.String("quantize.trimma.source_sha256")->size(), 64);
  const auto model = Model::Load(options.output, {});
  ASSERT_TRUE(model.ok());
  Context::Options context_options;
  auto context = Context::Create(*model, context_options);
  ASSERT_TRUE(context.ok());
  EXPECT_TRUE(context->Append(model->Tokenize("abc", true)).ok());
}

TEST_F(CraftTest, ARecipeReplaysToTheSameBytes) {
  QuantizeOptions options = Options("first.gguf");
  options.size_bytes = BytesOf("Q5_K_M");
  options.recipe_file = tree_ / "r.json";
  ASSERT_TRUE(Quantize(options).ok());
  QuantizeOptions again = Options("again.gguf");
  again.recipe_file = options.recipe_file;
  again.threads = 1;
  const auto made = Quantize(again);
  ASSERT_TRUE(made.ok()) << made.error().what;
  const auto first = ReadGguf(options.output);
  const auto second = ReadGguf(again.output);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(TypesOf(*first), TypesOf(*second));
  EXPECT_TRUE(*ReadSmallFile(options.output) == *ReadSmallFile(again.output));
}

TEST_F(CraftTest, ATypesOwnMapCanBeRoundedWithCompensation) {
  QuantizeOptions options = Options();
  options.recipe = FindFileType("Q4_K_M");
  options.compensate = true;
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_FALSE(made->expected_loss.has_value());
  QuantizeOptions plain = Options("plain.gguf");
  plain.recipe = options.recipe;
  ASSERT_TRUE(Quantize(plain).ok());
  const auto ours = ReadGguf(options.output);
  const auto theirs = ReadGguf(plain.output);
  ASSERT_TRUE(ours.ok() && theirs.ok());
  EXPECT_EQ(TypesOf(*ours), TypesOf(*theirs));
  EXPECT_FALSE(*ReadSmallFile(options.output) == *ReadSmallFile(plain.output));
}

TEST_F(CraftTest, ExchangesAreTriedKeptAndReplayed) {
  QuantizeOptions options = Options("first.gguf");
  options.size_bytes = BytesOf("Q4_K_M");
  options.work_directory = tree_ / "work";
  options.exchanges = 3;
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_LE(made->file_bytes, *options.size_bytes);
  ASSERT_FALSE(made->notes.empty());
  EXPECT_NE(made->notes.back().find("of types tried on the real divergence"), std::string::npos)
      << made->notes.back();

  QuantizeOptions again = options;
  again.output = tree_ / "again.gguf";
  std::vector<std::string> stages;
  ASSERT_TRUE(Quantize(again, [&](const std::string& stage, double) {
                if (stages.empty() || stages.back() != stage) stages.push_back(stage);
              }).ok());
  EXPECT_EQ(std::count(stages.begin(), stages.end(), stage::kExchanging), 0);
  EXPECT_TRUE(*ReadSmallFile(options.output) == *ReadSmallFile(again.output));
}

TEST_F(CraftTest, ForcedTypesStandWhateverTheRestIs) {
  const auto type_of = [](const std::string& path, const char* tensor) {
    const auto file = ReadGguf(path);
    CHECK(file.ok());
    return file->FindTensor(tensor)->type;
  };
  QuantizeOptions options = Options("first.gguf");
  options.size_bytes = BytesOf("Q4_K_M");
  options.recipe_file = tree_ / "r.json";
  options.work_directory = tree_ / "work";
  options.forced_types = {{"blk.0.attn_q", tensor_type::kQ8_0},
                          {"blk.1.attn_q", tensor_type::kBF16}};
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_LE(made->file_bytes, *options.size_bytes);
  EXPECT_EQ(type_of(options.output, "blk.0.attn_q.weight"), tensor_type::kQ8_0);
  EXPECT_EQ(type_of(options.output, "blk.1.attn_q.weight"), tensor_type::kBF16);
  ASSERT_GE(made->notes.size(), 3U);
  EXPECT_EQ(made->notes[0], "--tensor-type blk.0.attn_q=Q8_0: 1 tensor");
  EXPECT_NE(made->notes.back().find("leaves out 1 tensor"), std::string::npos)
      << made->notes.back();

  // What was measured serves for other types too, and a recipe takes them on.
  QuantizeOptions again = Options("again.gguf");
  again.recipe_file = options.recipe_file;
  again.work_directory = options.work_directory;
  again.forced_types = {{"blk.0.attn_q", tensor_type::kQ6_K}};
  std::vector<std::string> stages;
  const auto replayed = Quantize(again, [&](const std::string& stage, double) {
    if (stages.empty() || stages.back() != stage) stages.push_back(stage);
  });
  ASSERT_TRUE(replayed.ok()) << replayed.error().what;
  EXPECT_EQ(stages, (std::vector<std::string>{"checking the source's hash", "quantising"}));
  EXPECT_EQ(type_of(again.output, "blk.0.attn_q.weight"), tensor_type::kQ6_K);
  EXPECT_EQ(type_of(again.output, "blk.1.attn_q.weight"), tensor_type::kBF16);
}

TEST_F(CraftTest, ExpertsAreWeighedByTheirOwnTokens) {
  TinyModelOptions shape;
  shape.embedding = shape.feed_forward = 256;
  shape.experts = 4;
  WriteTinyModel(tree_ / "source.gguf", shape);
  QuantizeOptions options = Options();
  options.recipe = FindFileType("Q4_K_M");
  options.compensate = true;
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  const auto& weighed = made->rounding.at("weighed");
  EXPECT_EQ(weighed.size(), 6);
  for (const std::string& name : weighed) EXPECT_TRUE(name.ends_with("_exps.weight")) << name;
  EXPECT_EQ(made->rounding.at("compensated").size(), 2 * 4 + 1);
  EXPECT_EQ(ToJson(*made)["rounding"]["weighed"][0], weighed[0]);

  QuantizeOptions plain = Options("plain.gguf");
  plain.recipe = options.recipe;
  plain.calibration_text.reset();
  const auto alike = Quantize(plain);
  ASSERT_TRUE(alike.ok());
  EXPECT_EQ(alike->rounding.at("alike").size(), 2 * 7 + 1);
  const auto a = ReadGguf(options.output);
  const auto b = ReadGguf(plain.output);
  ASSERT_TRUE(a.ok() && b.ok());
  const TensorInfo* of = a->FindTensor(weighed[0]);
  const TensorInfo* as = b->FindTensor(weighed[0]);
  EXPECT_NE(ReadSmallFile(options.output)->substr(of->offset, of->bytes),
            ReadSmallFile(plain.output)->substr(as->offset, as->bytes));

  QuantizeOptions sized = Options("sized.gguf");
  sized.size_bytes = made->file_bytes;
  const auto allocated = Quantize(sized);
  ASSERT_TRUE(allocated.ok()) << allocated.error().what;
  EXPECT_LE(allocated->file_bytes, *sized.size_bytes);
  EXPECT_TRUE(Model::Load(sized.output, {}).ok());
}

TEST_F(CraftTest, AModelThatCannotBeEvaluatedIsRoundedPlainlyWhichIsSaid) {
  TinyModelOptions shape;
  shape.architecture = "bert";
  shape.embedding = shape.feed_forward = 256;
  WriteTinyModel(tree_ / "source.gguf", shape);
  const auto says = [](const QuantizeReport& report, const std::string& words) {
    return std::any_of(report.notes.begin(), report.notes.end(), [&](const std::string& note) {
      return note.find(words) != std::string::npos;
    });
  };
  QuantizeOptions options = Options();
  options.recipe = FindFileType("Q4_K_M");
  options.compensate = true;
  options.calibration_text.reset();  // which an encoder can't write
  const auto full = Quantize(options);
  ASSERT_TRUE(full.ok()) << full.error().what;
  EXPECT_TRUE(says(*full, "can't evaluate this model"));
  EXPECT_EQ(full->importance, "");
  EXPECT_EQ(full->rounding.count("compensated"), 0);
  EXPECT_EQ(full->rounding.count("weighed"), 0);

  QuantizeOptions read = Options("read.gguf");
  read.recipe = options.recipe;
  read.compensate = true;
  const auto compensated = Quantize(read);
  ASSERT_TRUE(compensated.ok()) << compensated.error().what;
  EXPECT_FALSE(says(*compensated, "can't evaluate"));
  EXPECT_GT(compensated->rounding.at("compensated").size(), 0) << "its inputs are seen";

  QuantizeOptions plain = Options("plain.gguf");
  plain.recipe = options.recipe;
  plain.generate_text = true;
  const auto weighed = Quantize(plain);
  ASSERT_TRUE(weighed.ok()) << weighed.error().what;
  EXPECT_TRUE(says(*weighed, "can't evaluate this model"));
  EXPECT_FALSE(ReadGguf(plain.output)->metadata.Has("quantize.imatrix.dataset"));

  QuantizeOptions sized = Options("sized.gguf");
  sized.size_bytes = full->file_bytes + 500;
  const auto recipe = Quantize(sized);
  ASSERT_TRUE(recipe.ok()) << recipe.error().what;
  EXPECT_TRUE(says(*recipe, "the largest recipe of that size"));
  EXPECT_LE(recipe->file_bytes, *sized.size_bytes);
  EXPECT_GE(recipe->file_bytes + 500, full->file_bytes);

  QuantizeOptions lossy = Options("lossy.gguf");
  lossy.max_loss = 0.1;
  EXPECT_EQ(Quantize(lossy).error().code, Code::kUsage);
}

TEST_F(CraftTest, AWeightThatIsNoNumberIsNamed) {
  TinyModelOptions shape;
  shape.embedding = shape.feed_forward = 256;
  TinyModel tiny = MakeTinyModel(shape);
  for (size_t i = 0; i < tiny.tensors.size(); ++i) {
    if (tiny.tensors[i].name == "blk.0.attn_k.weight") tiny.data[i][2001] = '\x7E';
  }
  tree_.Write("source.gguf", Assemble(tiny));
  QuantizeOptions options = Options();
  options.size_bytes = 400'000;
  const auto made = Quantize(options);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Code::kInvalid);
  EXPECT_NE(made.error().what.find("blk.0.attn_k.weight"), std::string::npos) << made.error().what;
  options.recipe = FindFileType("Q4_K_M");
  const auto plain = Quantize(options);
  ASSERT_FALSE(plain.ok());
  EXPECT_NE(plain.error().what.find("blk.0.attn_k.weight"), std::string::npos);
}

TEST_F(CraftTest, WhatCannotBeIsSaidWithTheNearest) {
  QuantizeOptions options = Options();
  options.size_bytes = 1000;
  const auto made = Quantize(options);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Code::kNoFit);
  EXPECT_NE(made.error().what.find("is the least"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

TEST_F(CraftTest, AnExistingOutputIsKept) {
  tree_.Write("made.gguf", "precious");
  QuantizeOptions options = Options();
  options.size_bytes = 1'000'000;
  EXPECT_EQ(Quantize(options).error().code, Code::kFailure);
  EXPECT_EQ(*ReadSmallFile(tree_ / "made.gguf"), "precious");
  EXPECT_FALSE(std::filesystem::exists(options.output + ".trimma-work"));
}

TEST_F(CraftTest, ARecipeForAnotherModelIsRefused) {
  tree_.Write("r.json", R"({"schema":"trimma.recipe/1","file_type":"Q8_0",
                            "tensors":[{"name":"x","type":"Q8_0"}]})");
  QuantizeOptions options = Options();
  options.recipe_file = tree_ / "r.json";
  EXPECT_EQ(Quantize(options).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace trimma::craft_test
