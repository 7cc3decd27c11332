#include "gguf/shards.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "support/tiny_model.h"

namespace trimma::shards_test {
namespace {

// A tiny model in three files; a test changes one before Write().
class ShardsTest : public testing::Test {
 protected:
  static constexpr uint32_t kShards = 3;

  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::path(testing::TempDir()) / (std::string("trimma_shards_") + test->name());
    std::filesystem::create_directories(folder_);
    const TinyModel whole = MakeTinyModel();
    tensors_ = whole.tensors.size();
    for (uint16_t i = 0; i < kShards; ++i) {
      if (i == 0) shards_[i].metadata = whole.metadata;
      shards_[i].metadata.Set("split.no", i);
      shards_[i].metadata.Set("split.count", uint16_t{kShards});
      shards_[i].metadata.Set("split.tensors.count", static_cast<int32_t>(tensors_));
    }
    for (size_t i = 0; i < tensors_; ++i) {
      TinyModel& shard = shards_[i * kShards / tensors_];
      shard.tensors.push_back(whole.tensors[i]);
      shard.data.push_back(whole.data[i]);
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string PathOf(uint32_t i) const { return ShardName{folder_ / "m", 0, kShards}.Path(i); }
  void Write() {
    for (uint32_t i = 0; i < kShards; ++i)
      ASSERT_TRUE(WriteFileAtomically(PathOf(i), Assemble(shards_[i])).ok());
  }
  // The sentence about the model, without the folder.
  std::string Fault(uint32_t opened = 0) const {
    const Result<GgufFile> file = ReadGguf(PathOf(opened));
    if (file.ok()) return "accepted";
    EXPECT_EQ(file.error().code, Code::kInvalid);
    std::string what = file.error().what;
    for (size_t at; (at = what.find(folder_.string() + "/")) != std::string::npos;) {
      what.erase(at, folder_.string().size() + 1);
    }
    return what;
  }

  std::filesystem::path folder_;
  TinyModel shards_[kShards];
  size_t tensors_ = 0;
};

TEST_F(ShardsTest, AnyShardOpensTheWholeModel) {
  Write();
  const Result<GgufFile> whole = Result<GgufFile>(*ReadGguf(PathOf(0)));
  for (uint32_t opened = 0; opened < kShards; ++opened) {
    const Result<GgufFile> file = ReadGguf(PathOf(opened));
    ASSERT_TRUE(file.ok()) << file.error().what;
    ASSERT_EQ(file->paths.size(), kShards);
    EXPECT_EQ(file->paths[2], PathOf(2));
    EXPECT_EQ(file->architecture(), "llama");
    EXPECT_EQ(file->tensors, whole->tensors);
    EXPECT_EQ(file->tensors.size(), tensors_);
    EXPECT_EQ(file->tensors.back().shard, 2U);
  }
}

TEST_F(ShardsTest, RejectsMissingShard) {
  Write();
  std::filesystem::remove(PathOf(1));
  EXPECT_EQ(Fault(), "m-00002-of-00003.gguf, shard 2 of 3, is missing");
  EXPECT_EQ(Fault(2), "m-00002-of-00003.gguf, shard 2 of 3, is missing");
}

TEST_F(ShardsTest, RejectsTensorInTwoShards) {
  shards_[1].tensors[0].name = shards_[0].tensors[0].name;
  Write();
  EXPECT_EQ(Fault(), "m-00002-of-00003.gguf: tensor token_embd.weight is in another shard too");
}

TEST_F(ShardsTest, RejectsWrongCounts) {
  shards_[0].metadata.Set("split.tensors.count", static_cast<int32_t>(tensors_ + 1));
  Write();
  EXPECT_EQ(Fault(), "m-00001-of-00003.gguf: split.tensors.count is " +
                         std::to_string(tensors_ + 1) + ", but the 3 shards hold " +
                         std::to_string(tensors_) + " tensors");
  shards_[1].metadata.Set("split.count", uint16_t{4});
  Write();
  EXPECT_EQ(Fault(), "m-00002-of-00003.gguf: split.count is 4, but 3 in m-00001-of-00003.gguf");
}

TEST_F(ShardsTest, RejectsSwappedShards) {
  shards_[1].metadata.Set("split.no", uint16_t{2});
  Write();
  EXPECT_EQ(Fault(), "m-00002-of-00003.gguf: split.no is 2, but the name says shard 2");
}

TEST_F(ShardsTest, RejectsKeysOfWrongType) {  // ggml aborts on these
  shards_[1].metadata.Set("split.no", uint32_t{1});
  Write();
  EXPECT_EQ(Fault(), "m-00002-of-00003.gguf: split.no is absent or not of type UINT16");
}

TEST_F(ShardsTest, RejectsRenamedShard) {
  Write();
  const std::string renamed = folder_ / "other.gguf";
  std::filesystem::rename(PathOf(0), renamed);
  const Result<GgufFile> file = ReadGguf(renamed);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().what,
            renamed + ": this is shard 1 of 3, but its name does not end in -00001-of-00003.gguf");
}

TEST(ShardNameTest, FollowsOneForm) {
  const auto name = ParseShardName("a/m-Q4_K-00002-of-00010.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->prefix, "a/m-Q4_K");
  EXPECT_EQ(name->index, 1U);
  EXPECT_EQ(name->Path(9), "a/m-Q4_K-00010-of-00010.gguf");
  for (const char* wrong :
       {"m.gguf", "-00001-of-00002.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
        "m-0001-of-00002.gguf", "m-00001-of-00002.ggml", "m-+0001-of-00002.gguf",
        "m-00001_of-00002.gguf", ""}) {
    EXPECT_FALSE(ParseShardName(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace trimma::shards_test
