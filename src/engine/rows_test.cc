#include "engine/rows.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace trimma {
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

TEST(RowsTest, EveryTypeThatIsMadeCanBeReadAgain) {
  const std::vector<float> values = Noise(kRows * kColumns, 1);
  const std::vector<float> importance = Positive(kColumns);
  int made = 0;
  for (const TypeInfo& info : TensorTypes()) {
    if (!CanQuantize(info.type)) continue;
    ++made;
    ASSERT_TRUE(CanDequantize(info.type)) << info.name;
    const std::vector<char> blocks = Quantized(info.type, values, importance.data());
    std::vector<float> back(values.size());
    DequantizeRows(info.type, blocks.data(), kRows, kColumns, back.data());
    const double bits = 8.0 * info.block_bytes / info.block;
    // Each bit about halves the error, from 1 at 0 bits; the formats differ by little more than 2.
    const double typical = std::exp2(-bits) * 3;
    const double error = RelativeError(values, back);
    EXPECT_LT(error, std::max(typical, 1e-2 * std::exp2(-bits / 3))) << info.name << " " << bits;
    if (info.quantized) {
      EXPECT_GT(error, std::exp2(-bits) / 4) << info.name << " " << bits;
    }
  }
  EXPECT_GE(made, 25);
}

TEST(RowsTest, ThirtyTwoBitsLoseNothing) {
  const std::vector<float> values = Noise(kRows * kColumns, 2);
  const std::vector<char> blocks = Quantized(tensor_type::kF32, values, nullptr);
  std::vector<float> back(values.size());
  DequantizeRows(tensor_type::kF32, blocks.data(), kRows, kColumns, back.data());
  EXPECT_EQ(back, values);
}

TEST(RowsTest, BytesAreGgmlsOwn) {
  const std::vector<float> values = Noise(kRows * kColumns, 3);
  const std::vector<float> importance = Positive(kColumns);
  for (const TypeInfo& info : TensorTypes()) {
    if (!CanQuantize(info.type)) continue;
    for (const float* weights : {static_cast<const float*>(nullptr), importance.data()}) {
      const auto ggml = static_cast<ggml_type>(info.type);
      if (weights == nullptr && ggml_quantize_requires_imatrix(ggml)) continue;
      const std::vector<char> ours = Quantized(info.type, values, weights);
      std::vector<char> theirs(ours.size());
      ggml_quantize_chunk(ggml, values.data(), theirs.data(), 0, kRows, kColumns, weights);
      EXPECT_EQ(ours, theirs) << info.name << (weights == nullptr ? "" : " with importance");
    }
  }
}

// What lets the pipeline cut a matrix anywhere between rows.
TEST(RowsTest, RowsDoNotDependOnTheirNeighbours) {
  const std::vector<float> values = Noise(kRows * kColumns, 4);
  const std::vector<float> importance = Positive(kColumns);
  for (const TypeInfo& info : TensorTypes()) {
    if (!CanQuantize(info.type)) continue;
    const std::vector<char> whole = Quantized(info.type, values, importance.data());
    const uint64_t row_bytes = *RowBytes(info.type, kColumns);
    std::vector<char> single(whole.size());
    for (uint64_t row = 0; row < kRows; ++row) {
      QuantizeRows(info.type, &values[row * kColumns], 1, kColumns, importance.data(),
                   &single[row * row_bytes]);
    }
    EXPECT_EQ(single, whole) << info.name;
  }
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
}  // namespace trimma
