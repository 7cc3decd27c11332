#include "gguf/imatrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "base/file.h"
#include "gguf/raw_gguf.h"
#include "gguf/writer.h"
#include "support/tiny_model.h"

namespace trimma::imatrix_test {
namespace {

Importance Sample() {
  Importance importance;
  importance.entries["blk.0.attn_q.weight"] = {{4, 8, 12}, 3, {4}};
  importance.entries["blk.0.ffn_up_exps.weight"] = {
      {1, 2, 3, 4}, 2, {2, 0}};  // the second expert never ran
  importance.chunk_count = 7;
  importance.chunk_size = 512;
  importance.datasets = {"calibration.txt"};
  return importance;
}

class ImatrixTest : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }
  // Spoils Sample() before it is written without the writer's own checks.
  std::string FaultOf(const std::string& tensor, TensorType type, std::vector<uint64_t> shape,
                      float value) {
    TinyModel raw;
    raw.metadata.Set("general.type", std::string("imatrix"));
    raw.tensors = {{"a.in_sum2", tensor_type::kF32, {2}}, {"a.counts", tensor_type::kF32, {1}}};
    for (TensorPlan& plan : raw.tensors) {
      const bool spoil = plan.name == tensor;
      if (spoil) plan = {tensor, type, shape};
      std::string data;
      const uint64_t n = spoil ? format::SizeOf(type, shape).bytes / sizeof(float) : plan.shape[0];
      for (uint64_t i = 0; i < n; ++i) {
        const float element = spoil ? value : 1.0F;
        data.append(reinterpret_cast<const char*>(&element), sizeof element);
      }
      raw.data.push_back(data);
    }
    EXPECT_TRUE(WriteFileAtomically(path_, Assemble(raw)).ok());
    const Result<Importance> importance = ReadImportance(path_);
    if (importance.ok()) return "accepted";
    EXPECT_EQ(importance.error().code, Code::kInvalid);
    return importance.error().what.substr(path_.size());
  }
  std::string path_ = testing::TempDir() + "/trimma_imatrix_" +
                      testing::UnitTest::GetInstance()->current_test_info()->name() + ".gguf";
};

TEST_F(ImatrixTest, ReadsWhatItWrote) {
  ASSERT_TRUE(WriteImportance(path_, Sample()).ok());
  const Result<Importance> read = ReadImportance(path_);
  ASSERT_TRUE(read.ok()) << read.error().what;
  EXPECT_EQ(*read, Sample());
}

TEST_F(ImatrixTest, LooksLikeTheOneOfLlamaImatrix) {
  ASSERT_TRUE(WriteImportance(path_, Sample()).ok());
  const Result<GgufFile> file = ReadGguf(path_);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->metadata.entries().size(), 4U);
  EXPECT_EQ(file->metadata.entries()[0].first, "general.type");
  EXPECT_EQ(file->metadata.entries()[1].first, "imatrix.datasets");
  EXPECT_EQ(file->metadata.entries()[2], Metadata::Entry("imatrix.chunk_count", uint32_t{7}));
  EXPECT_EQ(file->metadata.entries()[3], Metadata::Entry("imatrix.chunk_size", uint32_t{512}));
  ASSERT_EQ(file->tensors.size(), 4U);
  EXPECT_EQ(file->tensors[2].name, "blk.0.ffn_up_exps.weight.in_sum2");
  EXPECT_EQ(file->tensors[2].shape, (std::vector<uint64_t>{2, 2}));
  EXPECT_EQ(file->tensors[3].shape, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(file->file_bytes % 32, 0U);
}

TEST_F(ImatrixTest, MeanSquaresDivideByTheCounts) {
  const Importance importance = Sample();
  EXPECT_EQ(importance.MeanSquares("blk.0.attn_q.weight"), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(importance.MeanSquares("blk.0.ffn_up_exps.weight"),
            (std::vector<float>{0.5F, 1, 1, 1}));
  EXPECT_TRUE(importance.MeanSquares("none").empty());
}

TEST_F(ImatrixTest, RejectsWhatMakesNoSense) {
  EXPECT_EQ(FaultOf("", tensor_type::kF32, {1}, 1), "accepted");
  EXPECT_EQ(FaultOf("a.in_sum2", tensor_type::kF32, {2}, -1),
            ": the importance of a holds a value that is negative or not finite");
  EXPECT_EQ(FaultOf("a.in_sum2", tensor_type::kF32, {2}, NAN),
            ": the importance of a holds a value that is negative or not finite");
  EXPECT_EQ(FaultOf("a.counts", tensor_type::kF32, {1}, INFINITY),
            ": the importance of a holds a value that is negative or not finite");
  EXPECT_EQ(FaultOf("a.counts", tensor_type::kF32, {1, 2}, 1),
            ": the importance of a has 2 sums for 2 columns of 2 matrices");
  EXPECT_EQ(FaultOf("a.counts", tensor_type::kF32, {2}, 1), ": a.counts has rows of 2, not of 1");
  EXPECT_EQ(FaultOf("a.counts", tensor_type::kF16, {1, 2}, 1), ": a.counts is F16, not F32");
}

TEST_F(ImatrixTest, RejectsHalfAPairAndOtherFiles) {
  Importance half = Sample();
  half.entries["b"] = {{1}, 1, {}};
  EXPECT_EQ(WriteImportance(path_, half).error().what, path_ + ": the importance of b is empty");
  EXPECT_EQ(ReadImportance(path_).error().code, Code::kNotFound);
  WriteTinyModel(path_);
  EXPECT_EQ(ReadImportance(path_).error().what, path_ + " is no importance matrix");
}

}  // namespace
}  // namespace trimma::imatrix_test
