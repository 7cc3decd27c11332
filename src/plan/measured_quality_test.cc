#include "plan/measured_quality.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "plan/file_hash.h"
#include "plan/quality.h"

namespace trimma::measured_quality_test {
namespace {

namespace fs = std::filesystem;
using tensor_type::kF16;
using tensor_type::kQ4_K;
using tensor_type::kQ6_K;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "trimma_quality_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    store_ = directory_ + "/state/quality.json";
  }
  void TearDown() override { fs::remove_all(directory_); }

  // A file of some bytes, with the header that such a model would have.
  GgufFile Model(const std::string& name, TensorType type, const std::string& bytes) {
    GgufFile file;
    file.paths = {directory_ + "/" + name};
    std::ofstream(file.paths[0]) << bytes;
    file.metadata.Set("general.architecture", std::string("somearch"));
    file.tensors = {{"token_embd.weight", type, {4096, 976563}, 0, 0, 0},
                    {"blk.0.ffn_up.weight", type, {4096, 976563}, 0, 0, 0}};
    for (TensorInfo& t : file.tensors) t.bytes = *RowBytes(t.type, t.row_length()) * t.rows();
    return file;
  }

  Mix MixOf(const char* recipe, TensorType type) {
    Mix mix;
    mix.recipe = FindFileType(recipe);
    mix.label = recipe;
    mix.assignment.types = {type, type};
    mix.assignment.changes = true;
    return mix;
  }

  MeasuredLoss Loss(const GgufFile& candidate, const char* recipe, double kld) {
    MeasuredLoss loss;
    loss.types = TypesDigest(candidate);
    loss.recipe = recipe;
    loss.importance = true;
    loss.mean_kld = kld;
    loss.low = 0.95 * kld;
    loss.high = 1.05 * kld;
    loss.tokens = 4080;
    loss.text = "some text";
    return loss;
  }

  std::string directory_;
  std::string store_;
};

TEST(FileHashTest, ANameOfOllamaGivesTheHashAway) {
  const std::string hash(64, 'a');
  EXPECT_EQ(HashFromName("/models/blobs/sha256-" + hash), hash);
  EXPECT_EQ(HashFromName("/models/blobs/sha256-" + hash + "0"), std::nullopt);
  EXPECT_EQ(HashFromName("/models/blobs/sha256-" + std::string(64, 'g')), std::nullopt);
  EXPECT_EQ(HashFromName("/models/model.gguf"), std::nullopt);
}

TEST_F(StoreTest, AFileIsHashedAsSha256DoesIt) {
  const GgufFile model = Model("a.gguf", kF16, "abc");
  const auto file = InputFile::Open(model.paths[0]);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*HashFile(*file), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
      << "FIPS 180-2, example B.1";
}

TEST_F(StoreTest, WithoutAStoreThereIsAnEmptyOne) {
  EXPECT_TRUE(MeasuredQualities::Load(store_).losses().empty());
  fs::create_directories(fs::path(store_).parent_path());
  for (const char* text : {"", "{", "[]", "{\"schema\":\"trimma.quality/1\"}",
                           "{\"schema\":\"trimma.quality/1\",\"files\":{},\"losses\":[{}]}"}) {
    std::ofstream(store_) << text;
    EXPECT_TRUE(MeasuredQualities::Load(store_).losses().empty()) << text;
  }
}

TEST_F(StoreTest, WhatWasMeasuredReplacesWhatWasExpected) {
  const GgufFile source = Model("source.gguf", kF16, "source");
  const GgufFile made = Model("made.gguf", kQ4_K, "made");
  const Mix q4 = MixOf("Q4_K_M", kQ4_K);
  const auto before = LossTable::For(source, MeasuredQualities::Load(store_)).WeightsLoss(q4);
  ASSERT_TRUE(before && !before->measured);

  ASSERT_TRUE(MeasuredQualities::Keep(Loss(made, "Q4_K_M", 0.123), source, &made, store_).ok());
  const MeasuredQualities known = MeasuredQualities::Load(store_);
  ASSERT_EQ(known.losses().size(), 1U);
  EXPECT_EQ(known.losses()[0].reference, *known.KnownHash(source));
  EXPECT_EQ(known.losses()[0].candidate, *known.KnownHash(made));
  const LossTable table = LossTable::For(source, known);
  const auto after = table.WeightsLoss(q4);
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->measured);
  EXPECT_DOUBLE_EQ(after->value, 0.123);
  EXPECT_DOUBLE_EQ(after->high, 1.05 * 0.123);
  EXPECT_NE(table.basis().find("measured on this machine for Q4_K_M"), std::string::npos)
      << table.basis();
  // The file made from it says what it lost.
  const auto lost = LossTable::For(made, known).lost_already();
  ASSERT_TRUE(lost);
  EXPECT_DOUBLE_EQ(lost->value, 0.123);
}

TEST_F(StoreTest, OneMeasuredTypeMakesTheOthersSurer) {
  const GgufFile source = Model("source.gguf", kF16, "source");
  const GgufFile made = Model("made.gguf", kQ4_K, "made");
  const Mix q6 = MixOf("Q6_K", kQ6_K);
  const Mix q4 = MixOf("Q4_K_M", kQ4_K);
  const LossTable before = LossTable::For(source, {});
  const auto q4_before = before.WeightsLoss(q4);
  const auto q6_before = before.WeightsLoss(q6);
  // This model loses five times what was expected.
  ASSERT_TRUE(
      MeasuredQualities::Keep(Loss(made, "Q4_K_M", 5 * q4_before->value), source, nullptr, store_)
          .ok());
  const auto q6_after = LossTable::For(source, MeasuredQualities::Load(store_)).WeightsLoss(q6);
  ASSERT_TRUE(q6_after);
  EXPECT_FALSE(q6_after->measured);
  EXPECT_NEAR(q6_after->value / q6_before->value, 5, 0.01);
  EXPECT_LT(q6_after->high / q6_after->value, 0.6 * q6_before->high / q6_before->value);
  EXPECT_GT(q6_after->high / q6_after->value, 1.3);
}

TEST_F(StoreTest, AChangedFileIsNotTakenForTheOldOne) {
  const GgufFile source = Model("source.gguf", kF16, "source");
  ASSERT_TRUE(MeasuredQualities::Keep(Loss(source, "F16", 0.1), source, nullptr, store_).ok());
  EXPECT_TRUE(MeasuredQualities::Load(store_).KnownHash(source));
  Model("source.gguf", kF16, "longer than before");
  EXPECT_FALSE(MeasuredQualities::Load(store_).KnownHash(source));
  fs::remove(source.paths[0]);
  EXPECT_FALSE(MeasuredQualities::Load(store_).KnownHash(source));
}

TEST_F(StoreTest, ACopyUnderAnotherNameIsRecognisedOnceHashed) {
  const GgufFile source = Model("source.gguf", kF16, "the same");
  const GgufFile copy = Model("copy.gguf", kF16, "the same");
  const GgufFile made = Model("made.gguf", kQ4_K, "made");
  ASSERT_TRUE(MeasuredQualities::Keep(Loss(made, "Q4_K_M", 0.1), source, nullptr, store_).ok());
  EXPECT_FALSE(MeasuredQualities::Load(store_).KnownHash(copy)) << "no big file is read to plan";
  ASSERT_TRUE(MeasuredQualities::Keep(Loss(made, "Q6_K", 0.01), copy, nullptr, store_).ok());
  const MeasuredQualities known = MeasuredQualities::Load(store_);
  EXPECT_EQ(known.KnownHash(copy), known.KnownHash(source));
}

TEST_F(StoreTest, MeasuringAgainReplacesAnotherTextIsKeptBeside) {
  const GgufFile source = Model("source.gguf", kF16, "source");
  const GgufFile made = Model("made.gguf", kQ4_K, "made");
  MeasuredLoss loss = Loss(made, "Q4_K_M", 0.1);
  ASSERT_TRUE(MeasuredQualities::Keep(loss, source, &made, store_).ok());
  loss.mean_kld = 0.2;
  ASSERT_TRUE(MeasuredQualities::Keep(loss, source, &made, store_).ok());
  EXPECT_EQ(MeasuredQualities::Load(store_).losses().size(), 1U);
  loss.text = "other text";
  loss.tokens = 10;
  loss.mean_kld = 0.4;
  ASSERT_TRUE(MeasuredQualities::Keep(loss, source, &made, store_).ok());
  const MeasuredQualities known = MeasuredQualities::Load(store_);
  EXPECT_EQ(known.losses().size(), 2U);
  EXPECT_DOUBLE_EQ(LossTable::For(source, known).WeightsLoss(MixOf("Q4_K_M", kQ4_K))->value, 0.2)
      << "the one of more tokens";
}

TEST_F(StoreTest, ACacheMeasuredOnThisModelIsKnownForEveryType) {
  const GgufFile source = Model("source.gguf", kF16, "source");
  MeasuredLoss loss = Loss(source, "F16", 0.004);
  loss.kv_k = loss.kv_v = "q8_0";
  ASSERT_TRUE(MeasuredQualities::Keep(loss, source, &source, store_).ok());
  const LossTable table = LossTable::For(source, MeasuredQualities::Load(store_));
  const auto kv = table.KvLoss("q8_0", "q8_0");
  ASSERT_TRUE(kv && kv->measured);
  EXPECT_DOUBLE_EQ(kv->value, 0.004);
  EXPECT_FALSE(table.KvLoss("q4_0", "q4_0")->measured);
  const Mix q4 = MixOf("Q4_K_M", kQ4_K);
  EXPECT_NEAR(table.Loss(q4, "q8_0", "q8_0")->value, table.WeightsLoss(q4)->value + 0.004, 1e-12);
  EXPECT_FALSE(table.lost_already());
}

TEST_F(StoreTest, TwoProcessesLoseNothingOfEachOther) {
  const GgufFile source = Model("source.gguf", kF16, "source");
  constexpr int kEach = 20;
  const auto keep = [&](const std::string& who) {
    for (int i = 0; i < kEach; ++i) {
      MeasuredLoss loss = Loss(source, "Q4_K_M", 0.1);
      loss.text = who + std::to_string(i);
      ASSERT_TRUE(MeasuredQualities::Keep(loss, source, nullptr, store_).ok());
    }
  };
  // Each opens the lock anew, so threads exclude each other as processes do.
  std::thread a(keep, "a");
  std::thread b(keep, "b");
  a.join();
  b.join();
  EXPECT_EQ(MeasuredQualities::Load(store_).losses().size(), 2U * kEach);
}

TEST_F(StoreTest, TheOrderOfTensorsDoesNotMatterTheirTypesDo) {
  GgufFile file = Model("a.gguf", kF16, "a");
  const std::string digest = TypesDigest(file);
  std::swap(file.tensors[0], file.tensors[1]);
  EXPECT_EQ(TypesDigest(file), digest);
  file.tensors[0].type = kQ4_K;
  EXPECT_NE(TypesDigest(file), digest);
}

}  // namespace
}  // namespace trimma::measured_quality_test
