#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "quantize/blocks/block_format.h"
#include "quantize/kernels/adversarial_rows.h"
#include "quantize/kernels/quantize_rows.h"

namespace trimma::exact_test {
namespace {

constexpr uint64_t kLength = 512;

const TensorType kTypes[] = {tensor_type::kQ4_0, tensor_type::kQ4_1,   tensor_type::kQ5_0,
                             tensor_type::kQ5_1, tensor_type::kQ8_0,   tensor_type::kQ2_K,
                             tensor_type::kQ3_K, tensor_type::kQ4_K,   tensor_type::kQ5_K,
                             tensor_type::kQ6_K, tensor_type::kIQ4_NL, tensor_type::kIQ4_XS};

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
  // ./dev bench kernels compares some hundred thousand more.
  const uint64_t enough = FindBlockFormat(type)->block == 256 ? 4000 : 20000;
  for (uint64_t done = 0; done < enough; done += 2 * blocks) {
    const std::vector<float> row = AdversarialRow(kLength, random);
    const std::vector<float> weights = AdversarialImportance(kLength, random);
    for (const float* importance : {weights.data(), static_cast<const float*>(nullptr)}) {
      std::vector<char> ours(*RowBytes(type, kLength)), theirs(ours.size());
      QuantizeRowsExact(type, row.data(), 1, kLength, importance, ours.data());
      QuantizeRows(type, row.data(), 1, kLength, importance, theirs.data());
      ASSERT_EQ(FirstDifference(type, ours, theirs), "")
          << "row " << done << (importance == nullptr ? ", no importance" : ", weighed");
    }
  }
}

// What comes out then is not ggml's business nor ours; the sanitizers watch.
TEST_P(ExactTest, AnythingIsSafe) {
  const TensorType type = GetParam();
  std::mt19937 random(9);
  const float odd[] = {
      std::numeric_limits<float>::quiet_NaN(),   std::numeric_limits<float>::infinity(),
      -std::numeric_limits<float>::infinity(),   std::numeric_limits<float>::max(),
      -std::numeric_limits<float>::denorm_min(), 1e30F};
  for (int run = 0; run < 40; ++run) {
    std::vector<float> row = AdversarialRow(kLength, random);
    std::vector<float> weights = AdversarialImportance(kLength, random);
    for (int i = 0; i < 20; ++i) row[random() % kLength] = odd[random() % 6];
    for (int i = 0; run % 2 == 0 && i < 20; ++i) weights[random() % kLength] = odd[random() % 6];
    std::vector<char> bytes(*RowBytes(type, kLength));
    QuantizeRowsExact(type, row.data(), 1, kLength, weights.data(), bytes.data());
    QuantizeRowsExact(type, row.data(), 1, kLength, nullptr, bytes.data());
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ExactTest, testing::ValuesIn(kTypes),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

}  // namespace
}  // namespace trimma::exact_test
