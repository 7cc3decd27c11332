#include "models/gguf_name.h"

#include <gtest/gtest.h>

namespace trimma::gguf_name_test {
namespace {

using Names = std::vector<std::string>;

TEST(GgufNameTest, FindsTheTypeInAFileName) {
  EXPECT_EQ(QuantTag("a/gemma-3-4b-it-Q4_K_M.gguf"), "Q4_K_M");
  EXPECT_EQ(QuantTag("qwen2.5-7b-instruct-q8_0.gguf"), "Q8_0");
  EXPECT_EQ(QuantTag("x-UD-IQ2_XXS-00001-of-00002.gguf"), "IQ2_XXS");
  EXPECT_EQ(QuantTag("x.BF16.gguf"), "BF16");
  EXPECT_EQ(QuantTag("gpt-oss-20b-mxfp4.gguf"), "MXFP4");
  EXPECT_EQ(QuantTag("mistral-7b-instruct.gguf"), "");
  EXPECT_EQ(QuantTag("model.gguf"), "");
}

TEST(GgufNameTest, TellsModelsFromCompanions) {
  EXPECT_TRUE(IsModelName("a.gguf"));
  EXPECT_TRUE(IsModelName("A.GGUF"));
  for (const char* name : {"mmproj-F16.gguf", "x-mmproj.gguf", "imatrix.gguf", "mtp-a.gguf",
                           "eagle3-a.gguf", "a.gguf.part", ".gguf", "a.bin", ""}) {
    EXPECT_FALSE(IsModelName(name)) << name;
  }
  EXPECT_TRUE(IsProjectorName("d/MMPROJ-f16.gguf"));
  EXPECT_FALSE(IsProjectorName("mmproj/model.gguf"));
}

TEST(GgufNameTest, ReadsShards) {
  EXPECT_EQ(ShardOf("m-00002-of-00003.gguf").number, 2);
  EXPECT_EQ(ShardOf("m-00002-of-00003.gguf").count, 3);
  for (const char* name : {"m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf",
                           "m-0000x-of-00003.gguf", "-00001-of-00002.gguf"}) {
    EXPECT_EQ(ShardOf(name).count, 1) << name;
  }
}

TEST(GgufNameTest, CountsASplitModelOnceAndOnlyWhenWhole) {
  Names notes;
  const Names files = {"a-00001-of-00002.gguf",
                       "a-00002-of-00002.gguf",
                       "b-00001-of-00003.gguf",
                       "b-00003-of-00003.gguf",
                       "c.gguf",
                       "mmproj-c.gguf"};
  EXPECT_EQ(WholeModels(files, notes), (Names{"a-00001-of-00002.gguf", "c.gguf"}));
  EXPECT_EQ(notes, Names{"skipped b-00001-of-00003.gguf: shard 2 of 3 is missing"});
}

TEST(GgufNameTest, PrefersTheProjectorBesideTheModel) {
  const Names files = {"d/m.gguf", "d/mmproj.gguf", "e/m.gguf", "mmproj-top.gguf", "t.gguf"};
  EXPECT_EQ(ProjectorFor("d/m.gguf", files), "d/mmproj.gguf");
  EXPECT_EQ(ProjectorFor("t.gguf", files), "mmproj-top.gguf");
  EXPECT_EQ(ProjectorFor("e/m.gguf", files), "d/mmproj.gguf");
  EXPECT_EQ(ProjectorFor("m.gguf", {"m.gguf"}), "");
}

}  // namespace
}  // namespace trimma::gguf_name_test
