#include "models/lm_studio.h"

#include <gtest/gtest.h>

#include "models/test_stores.h"

namespace trimma::lm_studio_test {
namespace {

TEST(LmStudioTest, ListsFilesThreeDeepOnly) {
  const TempTree tree;
  WriteLmStudioFile(tree, "top.gguf");
  WriteLmStudioFile(tree, "pub/two.gguf");
  WriteLmStudioFile(tree, "pub/Model-GGUF/m-Q4_K_M.gguf");
  WriteLmStudioFile(tree, "pub/Model-GGUF/mmproj-m.gguf");
  WriteLmStudioFile(tree, "pub/Model-GGUF/deeper/x.gguf");
  Walk walk;
  const std::vector<LocalModel> models = ListLmStudio(tree / "lms", walk);
  ASSERT_EQ(models.size(), 1U);
  EXPECT_EQ(models[0].name, "lmstudio:pub/Model-GGUF/m-Q4_K_M.gguf");
  EXPECT_EQ(models[0].path, tree / "lms/pub/Model-GGUF/m-Q4_K_M.gguf");
  EXPECT_EQ(models[0].projector_path, tree / "lms/pub/Model-GGUF/mmproj-m.gguf");
}

TEST(LmStudioTest, FindsAModelByAnyOfItsNames) {
  const TempTree tree;
  WriteLmStudioFile(tree, "pub/Model-GGUF/m-Q4_K_M.gguf");
  Walk walk;
  const std::vector<LocalModel> models = ListLmStudio(tree / "lms", walk);
  for (const char* text : {"pub/Model-GGUF/m-Q4_K_M.gguf", "PUB/model-gguf", "model-gguf",
                           "m-q4_k_m.gguf", "m-Q4_K_M"}) {
    EXPECT_EQ(MatchLmStudio(text, models).size(), 1U) << text;
  }
  for (const char* text : {"", "pub", "m", "../lms/pub/Model-GGUF/m-Q4_K_M.gguf"}) {
    EXPECT_TRUE(MatchLmStudio(text, models).empty()) << text;
  }
}

TEST(LmStudioTest, SkipsLinksOutOfTheFolder) {
  const TempTree tree;
  tree.Write("outside.gguf", "GGUF");
  tree.Link("lms/pub/m/m.gguf", "../../../outside.gguf");
  Walk walk;
  EXPECT_TRUE(ListLmStudio(tree / "lms", walk).empty());
  EXPECT_EQ(walk.notes.size(), 1U);
}

}  // namespace
}  // namespace trimma::lm_studio_test
