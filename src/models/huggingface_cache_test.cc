#include "models/huggingface_cache.h"

#include <gtest/gtest.h>

#include "models/test_stores.h"

namespace trimma::huggingface_cache_test {
namespace {

using Names = std::vector<std::string>;

std::vector<HuggingFaceFile> List(const TempTree& tree) {
  Walk walk;
  return ListHuggingFace(tree / "hf", walk);
}

Names NamesOf(const std::vector<HuggingFaceFile>& files) {
  Names names;
  for (const HuggingFaceFile& file : files) names.push_back(file.model.name);
  return names;
}

Names Match(const TempTree& tree, std::string_view text) {
  Names names;
  for (const LocalModel& model : MatchHuggingFace(text, List(tree))) names.push_back(model.name);
  return names;
}

TEST(HuggingFaceCacheTest, ListsModelsWithTypeAndProjector) {
  const TempTree tree;
  WriteHuggingFaceFile(tree, "user--Gemma-GGUF", 'a', "gemma-Q4_K_M.gguf");
  WriteHuggingFaceFile(tree, "user--Gemma-GGUF", 'a', "BF16/gemma-BF16-00001-of-00002.gguf");
  WriteHuggingFaceFile(tree, "user--Gemma-GGUF", 'a', "BF16/gemma-BF16-00002-of-00002.gguf");
  WriteHuggingFaceFile(tree, "user--Gemma-GGUF", 'a', "mmproj-F16.gguf");
  WriteHuggingFaceFile(tree, "user--Gemma-GGUF", 'a', "imatrix.gguf");
  WriteHuggingFaceFile(tree, "user--Gemma-GGUF", 'a', "README.md");
  tree.Write("hf/datasets--user--d/snapshots/x/a.gguf", "");
  tree.Write("hf/models--gpt2/snapshots/x/a.gguf", "");
  const auto files = List(tree);
  EXPECT_EQ(NamesOf(files), (Names{"hf:user/Gemma-GGUF:BF16", "hf:user/Gemma-GGUF:Q4_K_M"}));
  const std::string snapshot = "hf/models--user--Gemma-GGUF/snapshots/" + Commit('a') + "/";
  EXPECT_EQ(files[0].model.path, tree / (snapshot + "BF16/gemma-BF16-00001-of-00002.gguf"));
  EXPECT_EQ(files[1].model.projector_path, tree / (snapshot + "mmproj-F16.gguf"));
}

TEST(HuggingFaceCacheTest, PrefersTheSnapshotOfMain) {
  const TempTree tree;
  for (const char commit : {'a', 'b', 'c'}) {
    WriteHuggingFaceFile(tree, "user--m", commit, "m-Q8_0.gguf");
  }
  WriteHuggingFaceFile(tree, "user--m", 'c', "m-Q2_K.gguf");
  tree.Write("hf/models--user--m/refs/main", Commit('b') + "\n");
  const auto files = List(tree);
  EXPECT_EQ(NamesOf(files), (Names{"hf:user/m:Q8_0", "hf:user/m:Q2_K"}));
  EXPECT_NE(files[0].model.path.find(Commit('b')), std::string::npos);

  tree.Write("hf/models--user--m/refs/main", "../../../etc");
  EXPECT_NE(List(tree)[0].model.path.find(Commit('a')), std::string::npos);
}

TEST(HuggingFaceCacheTest, SkipsLinksThatLeaveTheRepository) {
  const TempTree tree;
  tree.Write("outside.gguf", "GGUF");
  const std::string snapshot = "hf/models--user--m/snapshots/" + Commit('a') + "/";
  tree.Link(snapshot + "bad-Q4_0.gguf", "../../../../outside.gguf");
  tree.Link(snapshot + "gone-Q4_1.gguf", "../../blobs/gone");
  Walk walk;
  EXPECT_TRUE(ListHuggingFace(tree / "hf", walk).empty());
  EXPECT_EQ(walk.notes.size(), 2U);
}

TEST(HuggingFaceCacheTest, NamesTheFileWhereTheTypeIsNotEnough) {
  const TempTree tree;
  WriteHuggingFaceFile(tree, "u--m", 'a', "small-Q8_0.gguf");
  WriteHuggingFaceFile(tree, "u--m", 'a', "large-Q8_0.gguf");
  WriteHuggingFaceFile(tree, "u--m", 'a', "plain.gguf");
  EXPECT_EQ(NamesOf(List(tree)),
            (Names{"hf:u/m:large-Q8_0.gguf", "hf:u/m:plain.gguf", "hf:u/m:small-Q8_0.gguf"}));
  EXPECT_EQ(Match(tree, "u/m:Q8_0").size(), 2U);
  EXPECT_EQ(Match(tree, "u/m:PLAIN.gguf"), Names{"hf:u/m:plain.gguf"});
}

TEST(HuggingFaceCacheTest, ChoosesATypeAsLlamaCppDoes) {
  const TempTree tree;
  WriteHuggingFaceFile(tree, "u--m", 'a', "m-BF16.gguf");
  EXPECT_EQ(Match(tree, "u/m"), Names{"hf:u/m:BF16"});
  WriteHuggingFaceFile(tree, "u--m", 'a', "m-Q8_0.gguf");
  EXPECT_EQ(Match(tree, "u/m"), Names{"hf:u/m:Q8_0"});
  WriteHuggingFaceFile(tree, "u--m", 'a', "m-Q4_K_M.gguf");
  EXPECT_EQ(Match(tree, "u/m"), Names{"hf:u/m:Q4_K_M"});
  EXPECT_EQ(Match(tree, "U/M:q8_0"), Names{"hf:u/m:Q8_0"});
  EXPECT_TRUE(Match(tree, "u/m:F16").empty());  // BF16 is another type
  EXPECT_TRUE(Match(tree, "u/m:").empty());
}

TEST(HuggingFaceCacheTest, FindsATypeWithAPrefix) {
  const TempTree tree;
  WriteHuggingFaceFile(tree, "u--m", 'a', "m-UD-Q4_K_XL.gguf");
  EXPECT_EQ(Match(tree, "u/m:UD-Q4_K_XL"), Names{"hf:u/m:Q4_K_XL"});
}

TEST(HuggingFaceCacheTest, FindsARepositoryByItsTail) {
  const TempTree tree;
  WriteHuggingFaceFile(tree, "a--m", 'a', "m-Q8_0.gguf");
  EXPECT_EQ(Match(tree, "m"), Names{"hf:a/m:Q8_0"});
  WriteHuggingFaceFile(tree, "b--m", 'a', "m-Q8_0.gguf");
  EXPECT_EQ(Match(tree, "m"), (Names{"hf:a/m:Q8_0", "hf:b/m:Q8_0"}));
}

TEST(HuggingFaceCacheTest, ChecksRepositoryNames) {
  EXPECT_TRUE(IsHuggingFaceRepo("Qwen/Qwen2.5-7B_x"));
  for (const char* repo :
       {"", "a", "a/", "/a", "a/b/c", "a/..", "../a", "a--b/c", "a/b.", "a/b c"}) {
    EXPECT_FALSE(IsHuggingFaceRepo(repo)) << repo;
  }
  EXPECT_FALSE(IsHuggingFaceRepo("a/" + std::string(255, 'b')));
}

}  // namespace
}  // namespace trimma::huggingface_cache_test
