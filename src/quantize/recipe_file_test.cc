#include "quantize/recipe_file.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::recipe_file_test {
namespace {

GgufFile Written(const TempTree& tree, const TinyModelOptions& options = {}) {
  const auto file = ReadGguf(WriteTinyModel(tree / "m.gguf", options));
  CHECK(file.ok());
  return *file;
}

Assignment Lowered(const GgufFile& file) {
  Assignment assignment = {TypesOf(file), {}, true};
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    if (file.tensors[i].shape.size() > 1) assignment.types[i] = tensor_type::kQ8_0;
  }
  return assignment;
}

TEST(RecipeFileTest, IsReplayedExactly) {
  const TempTree tree;
  const GgufFile file = Written(tree);
  const Assignment assignment = Lowered(file);
  ASSERT_TRUE(WriteRecipe(tree / "r.json", file, assignment, *FindFileType("Q8_0")).ok());
  const auto recipe = ReadRecipe(tree / "r.json");
  ASSERT_TRUE(recipe.ok());
  EXPECT_STREQ(recipe->label->name, "Q8_0");
  const auto again = ApplyRecipe(*recipe, file);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->types, assignment.types);
  EXPECT_TRUE(again->changes);
}

TEST(RecipeFileTest, ARecipeForAnotherModelIsRefused) {
  const TempTree tree;
  const GgufFile file = Written(tree);
  ASSERT_TRUE(WriteRecipe(tree / "r.json", file, Lowered(file), *FindFileType("Q8_0")).ok());
  const auto recipe = ReadRecipe(tree / "r.json");
  ASSERT_TRUE(recipe.ok());
  TinyModelOptions deeper;
  deeper.layers = 3;
  const auto refused = ApplyRecipe(*recipe, Written(tree, deeper));
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_NE(refused.error().what.find("recipe for another model"), std::string::npos);
}

TEST(RecipeFileTest, AnUnknownTypeOrAnotherFileIsSaid) {
  const TempTree tree;
  tree.Write("a.json", R"({"schema":"trimma.recipe/1","file_type":"Q8_0",
                           "tensors":[{"name":"x","type":"Q9_K"}]})");
  EXPECT_NE(ReadRecipe(tree / "a.json").error().what.find("Q9_K is no tensor type"),
            std::string::npos);
  for (const char* text : {"", "[]", "{}", R"({"schema":"trimma.recipe/1"})"}) {
    tree.Write("b.json", text);
    EXPECT_EQ(ReadRecipe(tree / "b.json").error().code, Code::kInvalid) << text;
  }
  EXPECT_EQ(ReadRecipe(tree / "none.json").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace trimma::recipe_file_test
