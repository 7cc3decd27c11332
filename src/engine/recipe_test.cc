#include "engine/recipe.h"

#include <gtest/gtest.h>
#include <llama.h>

#include <map>

#include "engine/engine.h"
#include "engine/ghost.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::recipe_test {
namespace {

using Types = std::map<std::string, std::string>;

// What llama-quantize makes of `source`; empty where it refuses.
Types MadeByTheEngine(const std::string& source, const std::string& output, const FileType& recipe,
                      const llama_model_tensor_override* overrides = nullptr) {
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = static_cast<llama_ftype>(recipe.id);
  params.nthread = 2;
  params.tt_overrides = overrides;
  if (llama_model_quantize(source.c_str(), output.c_str(), &params) != 0) return {};
  const auto file = ReadGguf(output);
  CHECK(file.ok());
  Types types;
  for (const TensorInfo& tensor : file->tensors) types[tensor.name] = NameOf(tensor.type);
  return types;
}

Types Predicted(const std::string& source, const FileType& recipe,
                const std::map<std::string, TensorType>& forced = {}) {
  const auto file = ReadGguf(source);
  CHECK(file.ok());
  const auto ghost = LoadGhost(*file, {});
  CHECK(ghost.ok());
  std::map<size_t, TensorType> places;
  for (size_t i = 0; i < file->tensors.size(); ++i) {
    const auto found = forced.find(file->tensors[i].name);
    if (found != forced.end()) places[i] = found->second;
  }
  const std::vector<TensorType> types = RecipeTypes(*ghost, *file, recipe, places);
  CHECK(types.size() == file->tensors.size());
  Types named;
  for (size_t i = 0; i < types.size(); ++i) named[file->tensors[i].name] = NameOf(types[i]);
  return named;
}

// How many of all recipes the engine makes without importance data, each with our types.
int AgreeOnEveryRecipe(const TinyModelOptions& shape) {
  EXPECT_TRUE(StartEngine().ok());
  const TempTree tree;
  const std::string source = WriteTinyModel(tree / "source.gguf", shape);
  int made = 0;
  for (const FileType& recipe : FileTypes()) {
    const Types theirs = MadeByTheEngine(source, tree / "made.gguf", recipe);
    if (theirs.empty()) continue;
    ++made;
    EXPECT_EQ(Predicted(source, recipe), theirs) << recipe.name;
  }
  return made;
}

TEST(RecipeTest, ForcedTypesMoveTheOthersAsLlamaQuantizeMovesThem) {
  EXPECT_TRUE(StartEngine().ok());
  const TempTree tree;
  TinyModelOptions shape;
  shape.embedding = 256;
  shape.feed_forward = 512;
  shape.layers = 8;
  const std::string source = WriteTinyModel(tree / "source.gguf", shape);
  const FileType& recipe = *FindFileType("Q4_K_M");
  const llama_model_tensor_override overrides[] = {{R"(^blk\.0\.attn_v\.weight$)", GGML_TYPE_Q8_0},
                                                   {R"(^blk\.1\.attn_v\.weight$)", GGML_TYPE_Q2_K},
                                                   {nullptr, GGML_TYPE_COUNT}};
  const Types theirs = MadeByTheEngine(source, tree / "made.gguf", recipe, overrides);
  ASSERT_FALSE(theirs.empty());
  EXPECT_NE(theirs, Predicted(source, recipe));
  EXPECT_EQ(theirs, Predicted(source, recipe,
                              {{"blk.0.attn_v.weight", tensor_type::kQ8_0},
                               {"blk.1.attn_v.weight", tensor_type::kQ2_K}}));
}

TEST(RecipeTest, TypesAreThoseThatLlamaQuantizeGives) {
  TinyModelOptions shape;
  shape.embedding = 256;
  shape.feed_forward = 512;
  shape.layers = 5;  // enough for recipes that treat the first and last layers better
  EXPECT_GE(AgreeOnEveryRecipe(shape), 18);
}

TEST(RecipeTest, AnOutputMatrixOfItsOwnAndGroupedHeadsAreCountedIn) {
  TinyModelOptions shape;
  shape.embedding = 512;
  shape.heads = 8;
  shape.kv_heads = 1;
  shape.feed_forward = 256;
  shape.tied = false;
  EXPECT_GE(AgreeOnEveryRecipe(shape), 18);
}

TEST(RecipeTest, RowsThatNoBlockDividesFallBackAsTheEngineFallsBack) {
  TinyModelOptions shape;
  shape.architecture = "gemma3";
  shape.embedding = 320;  // divides into blocks of 32, not of 256
  shape.heads = 4;
  shape.head_size = 64;
  shape.feed_forward = 416;
  EXPECT_GE(AgreeOnEveryRecipe(shape), 12);
}

TEST(RecipeTest, VectorsStayAsTheyAre) {
  const TempTree tree;
  TinyModelOptions shape;
  shape.embedding = 256;
  const std::string source = WriteTinyModel(tree / "source.gguf", shape);
  for (const char* name : {"Q4_K_M", "Q8_0", "F16"}) {
    const Types types = Predicted(source, *FindFileType(name));
    EXPECT_EQ(types.at("blk.0.attn_norm.weight"), "F32");
    EXPECT_EQ(types.at("output_norm.weight"), "F32");
  }
}

}  // namespace
}  // namespace trimma::recipe_test
