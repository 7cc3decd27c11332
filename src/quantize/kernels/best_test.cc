#include "quantize/kernels/best.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "quantize/kernels/adversarial_rows.h"
#include "quantize/kernels/best_reference.h"
#include "quantize/kernels/quantize_rows.h"
#include "quantize/kernels/simd_targets.h"
// After simd_targets.h.
#include <hwy/highway.h>

namespace trimma::best_test {
namespace {

using Bytes = std::vector<char>;

const TensorType kTypes[] = {tensor_type::kQ4_0, tensor_type::kQ4_1,   tensor_type::kQ5_0,
                             tensor_type::kQ5_1, tensor_type::kQ8_0,   tensor_type::kQ2_K,
                             tensor_type::kQ3_K, tensor_type::kQ4_K,   tensor_type::kQ5_K,
                             tensor_type::kQ6_K, tensor_type::kIQ4_NL, tensor_type::kIQ4_XS};

struct Rows {
  uint64_t rows;
  uint64_t length;
  std::vector<float> values;
  std::vector<float> importance;  // empty for none
  const float* weights() const { return importance.empty() ? nullptr : importance.data(); }
};

Bytes Best(TensorType type, const Rows& rows, bool* fits = nullptr) {
  Bytes bytes(*RowBytes(type, rows.length) * rows.rows);
  const bool result = QuantizeRowsBest(type, rows.values.data(), rows.rows, rows.length,
                                       rows.weights(), bytes.data());
  if (fits != nullptr) *fits = result;
  return bytes;
}

Bytes Ggml(TensorType type, const Rows& rows) {
  PrepareRows(type);
  Bytes bytes(*RowBytes(type, rows.length) * rows.rows);
  QuantizeRows(type, rows.values.data(), rows.rows, rows.length, rows.weights(), bytes.data());
  return bytes;
}

std::vector<float> Back(TensorType type, const Rows& rows, const Bytes& bytes) {
  std::vector<float> values(rows.rows * rows.length);
  DequantizeRows(type, bytes.data(), rows.rows, rows.length, values.data());
  return values;
}

float RowRoot(const Rows& rows, uint64_t row) {
  double sum = 0;
  for (uint64_t i = 0; i < rows.length; ++i)
    sum += double{rows.values[row * rows.length + i]} * rows.values[row * rows.length + i];
  return static_cast<float>(std::sqrt(sum / static_cast<double>(rows.length)));
}

Bytes Reference(TensorType type, const Rows& rows) {
  const BlockFormat& format = *FindBlockFormat(type);
  Bytes bytes(*RowBytes(type, rows.length) * rows.rows);
  char* to = bytes.data();
  Block block;
  for (uint64_t r = 0; r < rows.rows; ++r) {
    for (uint64_t i = 0; i < rows.length; i += format.block, to += format.bytes) {
      const float* weights = rows.importance.empty() ? nullptr : rows.importance.data() + i;
      QuantizeBlockReference(
          format, {rows.values.data() + r * rows.length + i, weights, RowRoot(rows, r)}, block);
      PackBlock(format, block, to);
    }
  }
  return bytes;
}

struct Errors {
  double importance = 0;  // sum q (x - y)^2
  double ggml = 0;        // the same as ggml weighs
};

Errors ErrorsOf(TensorType type, const Rows& rows, const Bytes& bytes) {
  const std::vector<float> back = Back(type, rows, bytes);
  const uint32_t n = FindBlockFormat(type)->block;
  const MeanOf mean = MeasureOf(type).mean;
  Errors errors;
  double mean_square = 0;
  for (uint64_t i = 0; i < back.size(); ++i) {
    if (i % n == 0) {
      mean_square = 0;
      for (uint64_t k = i; k < i + n; ++k)
        mean_square += double{rows.values[k]} * rows.values[k] / n;
      if (type != tensor_type::kQ2_K) mean_square *= 2;
      if (mean == MeanOf::kRow) mean_square = std::pow(RowRoot(rows, i / rows.length), 2);
    }
    const double x = rows.values[i];
    const double q = rows.importance.empty() ? 1 : rows.importance[i % rows.length];
    const double error = q * (x - back[i]) * (x - back[i]);
    errors.importance += error;
    errors.ggml += mean == MeanOf::kNothing ? error : error * std::sqrt(mean_square + x * x);
  }
  return errors;
}

Rows Adversarial(uint32_t seed) {
  std::mt19937 random(seed);
  Rows rows{5, 768, {}, {}};  // three super-blocks a row: batches of two cross its end
  for (uint64_t r = 0; r < rows.rows; ++r) {
    const std::vector<float> row = AdversarialRow(rows.length, random);
    rows.values.insert(rows.values.end(), row.begin(), row.end());
  }
  if (seed % 4 != 0) rows.importance = AdversarialImportance(rows.length, random);
  return rows;
}

enum class Importance { kNone, kNearlyAlike, kSpread };

Rows Drawn(uint64_t count, int kind, Importance importance) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 0.02F);
  std::exponential_distribution<float> exponential(50);
  std::student_t_distribution<float> heavy(4);
  std::lognormal_distribution<float> spread(0, importance == Importance::kSpread ? 1.5F : 0.4F);
  Rows rows{count, 1024, std::vector<float>(count * 1024), {}};
  for (float& x : rows.values) {
    if (kind == 0) x = normal(random);
    if (kind == 1) x = exponential(random) - exponential(random);
    if (kind == 2) x = 0.02F * heavy(random);
  }
  if (importance == Importance::kNone) return rows;
  for (uint64_t i = 0; i < rows.length; ++i) rows.importance.push_back(spread(random));
  return rows;
}

// For as long as it lives, vector code is that of one target, if the processor has it.
class OnTarget {
 public:
  explicit OnTarget(int64_t target) { hwy::SetSupportedTargetsForTest(target); }
  ~OnTarget() { hwy::SetSupportedTargetsForTest(0); }
};
bool HasTarget(int64_t target) { return (hwy::SupportedTargets() & target) != 0; }

class BestTest : public testing::TestWithParam<TensorType> {};

TEST_P(BestTest, IsTheReferenceOnEveryProcessorThatFuses) {
  const TensorType type = GetParam();
  if (type == tensor_type::kQ8_0) return;
  for (const int64_t target : {HWY_AVX2, HWY_AVX3, HWY_NEON}) {
    if (!HasTarget(target)) continue;
    const OnTarget chosen(target);
    for (uint32_t seed = 0; seed < 24; ++seed) {
      const Rows rows = Adversarial(seed);
      ASSERT_EQ(Best(type, rows), Reference(type, rows)) << "seed " << seed;
    }
  }
}

TEST_P(BestTest, ErrsAboutTheSameWithoutFusing) {
  const TensorType type = GetParam();
  // A rounding decides between minima of nearly the same depth.
  const Rows rows = Drawn(8, 1, Importance::kSpread);
  const double fused = ErrorsOf(type, rows, Best(type, rows)).ggml;
  const OnTarget chosen(HWY_EMU128);
  EXPECT_NEAR(ErrorsOf(type, rows, Best(type, rows)).ggml / fused, 1, 0.01);
}

TEST_P(BestTest, Q8_0IsGgmls) {
  if (GetParam() != tensor_type::kQ8_0) return;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Rows rows = Adversarial(seed);
    ASSERT_EQ(Best(GetParam(), rows), Ggml(GetParam(), rows)) << "seed " << seed;
  }
}

TEST_P(BestTest, ErrsLessThanGgmlByBothMeasures) {
  const TensorType type = GetParam();
  for (const auto importance : {Importance::kNone, Importance::kNearlyAlike, Importance::kSpread}) {
    for (int kind = 0; kind < 3; ++kind) {
      SCOPED_TRACE("rows of kind " + std::to_string(kind) + ", importance of kind " +
                   std::to_string(static_cast<int>(importance)));
      const Rows rows = Drawn(32, kind, importance);
      const Errors ours = ErrorsOf(type, rows, Best(type, rows));
      const Errors theirs = ErrorsOf(type, rows, Ggml(type, rows));
      EXPECT_LE(ours.importance, theirs.importance);
      EXPECT_LE(ours.ggml, theirs.ggml);
    }
  }
}

TEST_P(BestTest, RowsDontDependOnEachOther) {
  const TensorType type = GetParam();
  const Rows rows = Adversarial(5);
  const Bytes together = Best(type, rows);
  Bytes apart;
  for (uint64_t r = 0; r < rows.rows; ++r) {
    Rows row{1, rows.length, {}, rows.importance};
    row.values.assign(rows.values.begin() + static_cast<int64_t>(r * rows.length),
                      rows.values.begin() + static_cast<int64_t>((r + 1) * rows.length));
    const Bytes bytes = Best(type, row);
    apart.insert(apart.end(), bytes.begin(), bytes.end());
  }
  EXPECT_EQ(together, apart);
}

void ExpectFinite(TensorType type, const Rows& rows, const Bytes& bytes) {
  EXPECT_TRUE(RowsAreValid(type, bytes.data(), bytes.size()));
  for (const float y : Back(type, rows, bytes)) ASSERT_TRUE(std::isfinite(y));
}

TEST_P(BestTest, WhatIsNotFiniteIsZero) {
  const TensorType type = GetParam();
  Rows rows = Adversarial(11);
  Rows clean = rows;
  const float odd[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (uint64_t i = 0; i < rows.values.size(); i += 37) {
    rows.values[i] = odd[i % 3];
    clean.values[i] = 0;
  }
  const Bytes bytes = Best(type, rows);
  EXPECT_EQ(bytes, Best(type, clean));
  ExpectFinite(type, rows, bytes);
}

TEST_P(BestTest, OddImportanceIsSafe) {
  const TensorType type = GetParam();
  const float odd[] = {
      std::numeric_limits<float>::quiet_NaN(),  std::numeric_limits<float>::infinity(), -1, 0,
      std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()};
  for (const float weight : odd) {
    Rows rows = Drawn(2, 0, Importance::kSpread);
    std::fill(rows.importance.begin() + 100, rows.importance.begin() + 700, weight);
    ExpectFinite(type, rows, Best(type, rows));
    std::fill(rows.importance.begin(), rows.importance.end(), weight);
    const Bytes bytes = Best(type, rows);
    ExpectFinite(type, rows, bytes);
    // Whatever the weight, all being alike means plain rounding to within a few steps.
    rows.importance.clear();
    EXPECT_LE(ErrorsOf(type, rows, bytes).importance,
              1.1 * ErrorsOf(type, rows, Best(type, rows)).importance);
  }
}

TEST_P(BestTest, AnyMagnitudeIsSafe) {
  const TensorType type = GetParam();
  for (int exponent = -149; exponent <= 120; exponent += 5) {
    Rows rows = Drawn(2, 0, Importance::kSpread);
    for (float& x : rows.values) x *= std::exp2(static_cast<float>(exponent));
    bool fits = false;
    const Bytes bytes = Best(type, rows, &fits);
    ExpectFinite(type, rows, bytes);
    EXPECT_TRUE(fits || exponent > 10);
    EXPECT_FALSE(fits && exponent > 40);
  }
}

TEST_P(BestTest, ConstantsAreKept) {
  const TensorType type = GetParam();
  for (const float value : {0.0F, 1.0F, -1.0F, 0.03F, -700.0F}) {
    const Rows rows{2, 512, std::vector<float>(1024, value), {}};
    for (const float y : Back(type, rows, Best(type, rows)))
      ASSERT_NEAR(y, value, 3e-3F * std::fabs(value));  // small scales are coarse as halves
  }
}

INSTANTIATE_TEST_SUITE_P(Types, BestTest, testing::ValuesIn(kTypes),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

}  // namespace
}  // namespace trimma::best_test
