#include "engine/rows.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace trimma::rows_test {
namespace {

constexpr uint64_t kRows = 5;
constexpr uint64_t kColumns = 512;

std::vector<float> Noise(uint64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02F);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

std::vector<float> Positive(uint64_t n) {
  std::vector<float> values = Noise(n, 9);
  for (float& v : values) v = v * v + 1e-6F;
  return values;
}

std::vector<char> Quantized(TensorType type, const std::vector<float>& values,
                            const float* importance) {
  PrepareRows(type);
  std::vector<char> blocks(*RowBytes(type, kColumns) * kRows);
  QuantizeRows(type, values.data(), kRows, kColumns, importance, blocks.data());
  return blocks;
}

// Root of the mean squared error, relative to the values' own root mean square.
double RelativeError(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0;
  double square = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += std::pow(double{a[i]} - b[i], 2);
    square += std::pow(double{a[i]}, 2);
  }
  return std::sqrt(error / square);
}

// How far the values may be off after a type of so many bits.
double LargestError(const TypeInfo& info) {
  if (info.type == tensor_type::kF32) return 0;
  if (info.type == tensor_type::kF16) return 3e-4;
  if (info.type == tensor_type::kBF16) return 2e-3;
  // Each bit about halves the error; the formats differ by little more than 2.
  return 3.6 * std::exp2(-8.0 * info.block_bytes / info.block);
}

void ExpectRoundTrip(const TypeInfo& info, const std::vector<float>& values,
                     const std::vector<char>& blocks) {
  ASSERT_TRUE(CanDequantize(info.type)) << info.name;
  EXPECT_TRUE(RowsAreValid(info.type, blocks.data(), blocks.size())) << info.name;
  std::vector<float> back(values.size());
  DequantizeRows(info.type, blocks.data(), kRows, kColumns, back.data());
  const double error = RelativeError(values, back);
  EXPECT_LE(error, LargestError(info)) << info.name;
  if (info.quantized) {
    EXPECT_GT(error, LargestError(info) / 14) << info.name << " is better than its bits allow";
  }
}

void ExpectGgmlsBytes(const TypeInfo& info, const std::vector<float>& values,
                      const float* importance, const std::vector<char>& blocks) {
  std::vector<char> theirs(blocks.size());
  ggml_quantize_chunk(static_cast<ggml_type>(info.type), values.data(), theirs.data(), 0, kRows,
                      kColumns, importance);
  EXPECT_EQ(blocks, theirs) << info.name << (importance == nullptr ? "" : " with importance");
}

// What lets the pipeline cut a matrix anywhere between rows.
void ExpectIndependentRows(const TypeInfo& info, const std::vector<float>& values,
                           const float* importance, const std::vector<char>& blocks) {
  const uint64_t row_bytes = *RowBytes(info.type, kColumns);
  std::vector<char> single(blocks.size());
  for (uint64_t row = 0; row < kRows; ++row) {
    QuantizeRows(info.type, &values[row * kColumns], 1, kColumns, importance,
                 &single[row * row_bytes]);
  }
  EXPECT_EQ(single, blocks) << info.name;
}

// ggml's tables of these take 15 seconds to build; their rows go the way of all others.
bool TakesLong(const TypeInfo& info) {
  const std::string name = info.name;
  return name == "IQ2_S" || name == "IQ1_S" || name == "IQ1_M";
}

TEST(RowsTest, EveryTypeIsGgmlsOwnRowByRowAndCanBeReadAgain) {
  const std::vector<float> values = Noise(kRows * kColumns, 1);
  const std::vector<float> importance = Positive(kColumns);
  int made = 0;
  for (const TypeInfo& info : TensorTypes()) {
    if (!CanQuantize(info.type) || TakesLong(info)) continue;
    ++made;
    const std::vector<char> blocks = Quantized(info.type, values, importance.data());
    ExpectRoundTrip(info, values, blocks);
    ExpectGgmlsBytes(info, values, importance.data(), blocks);
    ExpectIndependentRows(info, values, importance.data(), blocks);
    if (ggml_quantize_requires_imatrix(static_cast<ggml_type>(info.type))) continue;
    ExpectGgmlsBytes(info, values, nullptr, Quantized(info.type, values, nullptr));
  }
  EXPECT_GE(made, 22);
}

TEST(RowsTest, AScaleBeyondItsRangeIsNotValid) {
  std::vector<float> values = Noise(kRows * kColumns, 6);
  values[3 * kColumns] = 1e9F;
  for (const char* name : {"F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "Q5_1"}) {
    const TensorType type = *TensorTypeByName(name);
    const std::vector<char> blocks = Quantized(type, values, nullptr);
    EXPECT_FALSE(RowsAreValid(type, blocks.data(), blocks.size())) << name;
  }
  for (const char* name : {"F32", "BF16"}) {
    const TensorType type = *TensorTypeByName(name);
    const std::vector<char> blocks = Quantized(type, values, nullptr);
    EXPECT_TRUE(RowsAreValid(type, blocks.data(), blocks.size())) << name;
  }
}

TEST(RowsTest, ThirtyTwoBitsLoseNothing) {
  const std::vector<float> values = Noise(kRows * kColumns, 2);
  const std::vector<char> blocks = Quantized(tensor_type::kF32, values, nullptr);
  std::vector<float> back(values.size());
  DequantizeRows(tensor_type::kF32, blocks.data(), kRows, kColumns, back.data());
  EXPECT_EQ(back, values);
}

TEST(RowsTest, ImportanceMovesTheErrorToWhereItMattersLess) {
  const std::vector<float> values = Noise(kRows * kColumns, 5);
  std::vector<float> importance(kColumns, 1e-4F);
  for (size_t i = 0; i < kColumns; i += 4) importance[i] = 1;
  const auto weighed_error = [&](const float* weights) {
    const std::vector<char> blocks = Quantized(tensor_type::kQ4_K, values, weights);
    std::vector<float> back(values.size());
    DequantizeRows(tensor_type::kQ4_K, blocks.data(), kRows, kColumns, back.data());
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i)
      error += importance[i % kColumns] * std::pow(values[i] - back[i], 2);
    return error;
  };
  EXPECT_LT(weighed_error(importance.data()), weighed_error(nullptr));
}

TEST(RowsTest, FormatsOfActivationsAndIntegersAreNotMade) {
  for (const char* name : {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"})
    EXPECT_FALSE(CanQuantize(*TensorTypeByName(name))) << name;
  for (const char* name : {"F32", "F16", "BF16", "Q4_0", "Q8_0", "Q6_K", "IQ1_S", "TQ1_0"})
    EXPECT_TRUE(CanQuantize(*TensorTypeByName(name))) << name;
  for (const char* name : {"I8", "I32", "I64"})
    EXPECT_FALSE(CanDequantize(*TensorTypeByName(name))) << name;
}

}  // namespace
}  // namespace trimma::rows_test
