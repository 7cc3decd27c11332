#include "quantize/blocks/block_format.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace trimma::block_format_test {
namespace {

const char* const kNames[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",   "Q2_K",
                              "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"};
constexpr uint32_t kWeights = 256 * 40;

const BlockFormat& FormatOf(const char* name) { return *FindBlockFormat(*TensorTypeByName(name)); }

std::vector<uint8_t> GgmlBytes(const BlockFormat& format, const std::vector<float>& weights,
                               const float* importance) {
  const auto type = static_cast<ggml_type>(format.type);
  ggml_quantize_init(type);
  std::vector<uint8_t> bytes(weights.size() / format.block * format.bytes);
  ggml_quantize_chunk(type, weights.data(), bytes.data(), 0, 1,
                      static_cast<int64_t>(weights.size()), importance);
  return bytes;
}

std::vector<float> Noise(uint32_t seed, float center) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(center, 0.02F);
  std::vector<float> weights(kWeights);
  for (float& w : weights) w = normal(random);
  std::fill_n(weights.begin() + 512, 256, 0.0F);
  std::fill_n(weights.begin() + 1024, 256, -0.25F);
  return weights;
}

void ExpectInRange(const BlockFormat& format, const Block& block) {
  for (uint32_t g = 0; g < format.groups(); ++g) {
    EXPECT_GE(block.scales[g], format.scale_low);
    EXPECT_LE(block.scales[g], format.scale_high);
    EXPECT_GE(block.mins[g], format.min_low);
    EXPECT_LE(block.mins[g], format.min_high);
  }
  for (uint32_t j = 0; j < format.block; ++j) EXPECT_LT(block.codes[j], format.levels);
}

void ExpectGgmls(const BlockFormat& format, const std::vector<uint8_t>& bytes) {
  std::vector<float> values(format.block);
  std::vector<uint8_t> packed(format.bytes, 0xAA);
  for (size_t at = 0; at < bytes.size(); at += format.bytes) {
    Block block;
    UnpackBlock(format, &bytes[at], block);
    ExpectInRange(format, block);
    PackBlock(format, block, packed.data());
    ASSERT_TRUE(std::equal(packed.begin(), packed.end(), bytes.begin() + static_cast<long>(at)));
    ggml_get_type_traits(static_cast<ggml_type>(format.type))
        ->to_float(&bytes[at], values.data(), format.block);
    for (uint32_t j = 0; j < format.block; ++j) {
      // ggml's compiler may fuse the last product and difference.
      const float slack = 1e-6F * std::abs(block.GroupMin(j / format.group));
      ASSERT_NEAR(ValueOf(format, block, j), values[j], slack) << j;
    }
  }
}

TEST(BlockFormatTest, TheTableAgreesWithGgml) {
  for (const char* name : kNames) {
    const BlockFormat& format = FormatOf(name);
    const auto type = static_cast<ggml_type>(format.type);
    EXPECT_EQ(format.block, ggml_blck_size(type)) << name;
    EXPECT_EQ(format.bytes, ggml_type_size(type)) << name;
    EXPECT_LE(format.bytes, kMaxBlockBytes) << name;
    EXPECT_LE(format.groups(), kMaxGroups) << name;
  }
  for (const char* name : {"F32", "F16", "BF16", "IQ2_XS", "TQ1_0", "MXFP4"})
    EXPECT_EQ(FindBlockFormat(*TensorTypeByName(name)), nullptr) << name;
}

TEST(BlockFormatTest, GgmlsBlocksComeBackByteForByteWithGgmlsValues) {
  std::vector<float> importance(kWeights);
  std::mt19937 random(7);
  for (float& v : importance) v = std::uniform_real_distribution<float>(0.01F, 1)(random);
  for (const char* name : kNames) {
    SCOPED_TRACE(name);
    for (const float center : {0.0F, 0.05F, -0.05F}) {
      const std::vector<float> weights = Noise(1, center);
      ExpectGgmls(FormatOf(name), GgmlBytes(FormatOf(name), weights, nullptr));
      ExpectGgmls(FormatOf(name), GgmlBytes(FormatOf(name), weights, importance.data()));
    }
  }
}

// Bit patterns that no quantiser makes, but a file may hold.
TEST(BlockFormatTest, AnyBytesComeBack) {
  std::mt19937 random(3);
  for (const char* name : kNames) {
    SCOPED_TRACE(name);
    const BlockFormat& format = FormatOf(name);
    std::vector<uint8_t> bytes(format.bytes * 50);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random() % 0x70);  // no infinite scales
    ExpectGgmls(format, bytes);
  }
}

}  // namespace
}  // namespace trimma::block_format_test
