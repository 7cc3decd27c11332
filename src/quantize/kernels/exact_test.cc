#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "quantize/blocks/block_format.h"
#include "quantize/kernels/quantize_rows.h"

namespace trimma {
namespace {

constexpr uint64_t kLength = 512;

const TensorType kTypes[] = {tensor_type::kQ4_0, tensor_type::kQ4_1,   tensor_type::kQ5_0,
                             tensor_type::kQ5_1, tensor_type::kQ8_0,   tensor_type::kQ2_K,
                             tensor_type::kQ3_K, tensor_type::kQ4_K,   tensor_type::kQ5_K,
                             tensor_type::kQ6_K, tensor_type::kIQ4_NL, tensor_type::kIQ4_XS};

// Rows of many kinds, cut into groups of 16 of one kind each for every other row.
std::vector<float> AdversarialRow(std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::student_t_distribution<float> heavy(2);
  std::uniform_int_distribution<int> kinds(0, 11);
  std::uniform_real_distribution<float> exponent(-6, 2);
  const bool mixed = random() % 2 == 0;
  std::vector<float> row(kLength);
  int kind = 0;
  float scale = 1;
  for (uint64_t i = 0; i < kLength; ++i) {
    if (i == 0 || (mixed && i % 16 == 0)) {
      kind = kinds(random);
      scale = std::pow(10.0F, exponent(random));
    }
    float& x = row[i];
    switch (kind) {
      case 0:
        x = 0;
        break;
      case 1:
        x = scale;
        break;
      case 2:
        x = -scale;
        break;
      case 3:
        x = scale * heavy(random);
        break;
      case 4:
        x = scale * std::fabs(normal(random));
        break;
      case 5:
        x = -scale * std::fabs(normal(random));
        break;
      case 6:
        x = scale * std::round(normal(random));
        break;  // ties
      case 7:
        x = random() % 8 == 0 ? scale * normal(random) : 0;
        break;
      case 8:
        x = scale * (1 + 1e-3F * normal(random));
        break;
      case 9:
        x = random() % 2 == 0 ? scale : -scale;
        break;
      case 10:
        x = 1e-16F * normal(random);
        break;
      default:
        x = scale * normal(random);
    }
  }
  return row;
}

std::vector<float> AdversarialImportance(std::mt19937& random) {
  std::lognormal_distribution<float> spread(0, 2);
  std::vector<float> weights(kLength);
  const auto kind = random() % 4;
  for (uint64_t i = 0; i < kLength; ++i) {
    weights[i] = spread(random);
    if (kind == 1 && random() % 3 == 0) weights[i] = 0;
    if (kind == 2 && i / 32 % 2 == 0) weights[i] = 0;
    if (kind == 3) weights[i] = 1;
  }
  return weights;
}

std::string FirstDifference(TensorType type, const std::vector<char>& a,
                            const std::vector<char>& b) {
  const uint32_t bytes = FindBlockFormat(type)->bytes;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i])
      return "block " + std::to_string(i / bytes) + ", byte " + std::to_string(i % bytes);
  }
  return "";
}

class ExactTest : public testing::TestWithParam<TensorType> {};

TEST_P(ExactTest, GivesTheBytesOfGgml) {
  const TensorType type = GetParam();
  PrepareRows(type);
  std::mt19937 random(7);
  const uint64_t blocks = kLength / FindBlockFormat(type)->block;
  for (uint64_t done = 0; done < 20000; done += 2 * blocks) {
    const std::vector<float> row = AdversarialRow(random);
    const std::vector<float> weights = AdversarialImportance(random);
    for (const float* importance : {weights.data(), static_cast<const float*>(nullptr)}) {
      std::vector<char> ours(*RowBytes(type, kLength)), theirs(ours.size());
      QuantizeRowsExact(type, row.data(), 1, kLength, importance, ours.data());
      QuantizeRows(type, row.data(), 1, kLength, importance, theirs.data());
      ASSERT_EQ(FirstDifference(type, ours, theirs), "")
          << "row " << done << (importance == nullptr ? ", no importance" : ", weighed");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ExactTest, testing::ValuesIn(kTypes),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

}  // namespace
}  // namespace trimma
