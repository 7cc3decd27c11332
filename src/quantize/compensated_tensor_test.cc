#include "quantize/compensated_tensor.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/rows.h"
#include "hardware/temp_tree.h"
#include "quantize/plain_rows.h"
#include "quantize/rounding/weighted_error.h"

namespace trimma::compensated_tensor_test {
namespace {

constexpr uint64_t kN = 512;

// Inputs of which neighbours say nearly the same.
SecondMoment Correlated(uint32_t seed, uint64_t tokens) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(tokens * kN);
  for (uint64_t t = 0; t < tokens; ++t) {
    float shared = 0;
    for (uint64_t j = 0; j < kN; ++j) {
      shared = 0.9F * shared + normal(random);
      x[t * kN + j] = shared;
    }
  }
  SecondMoment moment(kN);
  CHECK(moment.Add(x.data(), tokens, 1).ok());
  return moment;
}

class CompensatedTensorsTest : public testing::Test {
 protected:
  MomentsFile Moments(const SecondMoment& moment, const SecondMoment& held_out) {
    MomentsIndex index;
    index.inputs = {{"a.weight", kN, kN}};
    index.reads = {{"a.weight", "a.weight"}, {"b.weight", "a.weight"}};
    index.chunks = index.chunk_tokens = 1;
    auto writer = MomentsWriter::Create(tree_ / "moments.gguf", index);
    CHECK(writer.ok() && writer->Write(0, MomentPart::kMoment, RowsOf(moment)).ok() &&
          writer->Write(0, MomentPart::kHeldOut, RowsOf(held_out)).ok() && writer->Publish().ok());
    auto file = MomentsFile::Open(tree_ / "moments.gguf");
    CHECK(file.ok());
    return std::move(file).value();
  }
  static TensorInfo Tensor(const std::string& name, std::vector<uint64_t> shape) {
    TensorInfo tensor;
    tensor.name = name;
    tensor.type = tensor_type::kF32;
    tensor.shape = std::move(shape);
    return tensor;
  }
  static std::vector<float> Weights(uint64_t rows) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 0.05F);
    std::vector<float> weights(rows * kN);
    for (float& w : weights) w = normal(random);
    return weights;
  }

  TempTree tree_;
};

TEST_F(CompensatedTensorsTest, HandlesMatricesWhoseInputWasSeen) {
  const SecondMoment moment = Correlated(1, 600);
  const MomentsFile moments = Moments(moment, moment);
  const CompensatedTensors tensors(moments, 1);
  EXPECT_TRUE(tensors.Handles(Tensor("b.weight", {kN, 8}), tensor_type::kQ4_K));
  EXPECT_FALSE(tensors.Handles(Tensor("c.weight", {kN, 8}), tensor_type::kQ4_K));
  EXPECT_FALSE(tensors.Handles(Tensor("a.weight", {kN, 8, 2}), tensor_type::kQ4_K));
  EXPECT_FALSE(tensors.Handles(Tensor("a.weight", {256, 8}), tensor_type::kQ4_K));
  EXPECT_FALSE(tensors.Handles(Tensor("a.weight", {kN, 8}), tensor_type::kF16));
}

TEST_F(CompensatedTensorsTest, ErrsLessThanPlainRoundingOnWhatItHasNotSeen) {
  const SecondMoment unseen = Correlated(2, 2000);
  const MomentsFile moments = Moments(Correlated(1, 2000), unseen);
  CompensatedTensors tensors(moments, 2);
  const std::vector<float> weights = Weights(40);
  const auto blocks = tensors.Round(Tensor("b.weight", {kN, 40}), tensor_type::kQ4_K, weights);
  ASSERT_TRUE(blocks.ok());
  PreparePlainRows(tensor_type::kQ4_K);
  std::vector<char> plain(blocks->size());
  QuantizePlainRows(tensor_type::kQ4_K, weights.data(), 40, kN, unseen.Diagonal().data(),
                    plain.data());
  const WeightMatrix matrix = {weights.data(), 40, kN};
  const auto ours = WeightedErrorOfBlocks(matrix, tensor_type::kQ4_K, blocks->data(), unseen, 1);
  const auto theirs = WeightedErrorOfBlocks(matrix, tensor_type::kQ4_K, plain.data(), unseen, 1);
  ASSERT_TRUE(ours.ok() && theirs.ok());
  EXPECT_LT(*ours, 0.8 * *theirs);
}

TEST_F(CompensatedTensorsTest, PlainRoundingIsKeptWhereItIsBetterOnTheHeldOut) {
  // What is held out has another correlation altogether.
  SecondMoment other(kN);
  for (uint64_t j = 0; j < kN; ++j) {
    for (uint64_t k = 0; k < kN; ++k)
      other.MutableMatrix(0)[j * other.stride() + k] = j == k ? 1.0F : ((j + k) % 2 ? -0.9F : 0.9F);
  }
  const MomentsFile moments = Moments(Correlated(1, 600), other);
  CompensatedTensors tensors(moments, 1);
  const std::vector<float> weights = Weights(8);
  const auto blocks = tensors.Round(Tensor("a.weight", {kN, 8}), tensor_type::kQ4_K, weights);
  ASSERT_TRUE(blocks.ok());
  std::vector<char> plain(blocks->size());
  const auto moment = moments.Moment(0);
  ASSERT_TRUE(moment.ok());
  const auto compensation = Compensation::Prepare(*moment, 1);
  ASSERT_TRUE(compensation.ok());
  QuantizePlainRows(tensor_type::kQ4_K, weights.data(), 8, kN, compensation->importance().data(),
                    plain.data());
  const WeightMatrix matrix = {weights.data(), 8, kN};
  const auto kept = WeightedErrorOfBlocks(matrix, tensor_type::kQ4_K, blocks->data(), other, 1);
  const auto by_itself = WeightedErrorOfBlocks(matrix, tensor_type::kQ4_K, plain.data(), other, 1);
  ASSERT_TRUE(kept.ok() && by_itself.ok());
  EXPECT_LE(*kept, *by_itself);
}

}  // namespace
}  // namespace trimma::compensated_tensor_test
