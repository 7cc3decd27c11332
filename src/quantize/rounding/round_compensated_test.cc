#include "quantize/rounding/round_compensated.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

#include "base/half.h"
#include "engine/rows.h"
#include "quantize/rounding/reference_rounding.h"
#include "quantize/rounding/test_matrices.h"

namespace trimma::round_compensated_test {
namespace {

constexpr uint64_t kN = 512;
const char* const kNames[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",   "Q2_K",
                              "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"};

TensorType TypeOf(const char* name) {
  const TensorType type = *TensorTypeByName(name);
  PrepareRows(type);
  return type;
}

SecondMoment MomentOf(const std::vector<float>& x, uint64_t block = 0) {
  SecondMoment moment(kN, block);
  EXPECT_TRUE(moment.Add(x.data(), x.size() / kN, 1).ok());
  return moment;
}

struct Rounded {
  std::vector<uint8_t> bytes;
  RoundingResult result;
};

Rounded Round(const std::vector<float>& weights, TensorType type, const Compensation& compensation,
              const RoundingOptions& options = {}) {
  const uint64_t n = compensation.moment().n();
  const uint64_t rows = weights.size() / n;
  Rounded rounded;
  rounded.bytes.resize(*RowBytes(type, n) * rows);
  Result<RoundingResult> result = RoundCompensated({weights.data(), rows, n}, type, compensation,
                                                   options, rounded.bytes.data());
  EXPECT_TRUE(result.ok());
  rounded.result = std::move(result).value();
  return rounded;
}

std::vector<uint8_t> Plain(const std::vector<float>& weights, TensorType type,
                           const float* importance) {
  std::vector<uint8_t> bytes(*RowBytes(type, kN) * (weights.size() / kN));
  QuantizeRows(type, weights.data(), weights.size() / kN, kN, importance, bytes.data());
  return bytes;
}

// Scales that don't depend on the weights: the quantisers' searches would turn the last bit of a
// float into other scales.
void FixedScales(TensorType type, const float*, uint64_t rows, uint64_t n, const float*, void* to) {
  const BlockFormat& format = *FindBlockFormat(type);
  Block block;
  block.scale = 0.08F / (static_cast<float>(std::abs(format.Level(0))) +
                         static_cast<float>(format.levels) / 4);
  block.min_scale = 0.07F;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    block.scales[g] =
        static_cast<int8_t>(std::min(format.scale_high, 10 + static_cast<int>(g % 4)));
    block.mins[g] = static_cast<uint8_t>(std::min(format.min_high, 10));
  }
  if (format.has_group_scales()) block.scale /= 10;
  if (format.min_high > 1) block.min_scale /= 10;
  for (uint64_t i = 0; i < rows * n / format.block; ++i)
    PackBlock(format, block, static_cast<uint8_t*>(to) + i * format.bytes);
}

// tr(R H R^T) of all rows by the reference, with `sweeps` after feedback.
double ReferenceError(const std::vector<float>& weights, const BlockFormat& format,
                      const ReferenceMoment& moment, int sweeps) {
  const uint64_t n = moment.n;
  double error = 0;
  for (uint64_t row = 0; row < weights.size() / n; ++row) {
    ReferenceRow reference(format, moment, &weights[row * n]);
    reference.Feed([&](const std::vector<float>& from, uint64_t) {
      uint8_t bytes[kMaxBlockBytes];
      FixedScales(format.type, from.data(), 1, format.block, nullptr, bytes);
      Block block;
      UnpackBlock(format, bytes, block);
      return block;
    });
    for (int sweep = 0; sweep < sweeps && reference.Sweep() > 0; ++sweep) continue;
    error += reference.Error();
  }
  return error;
}

// The same measure of what the fast code wrote.
double DampedError(const std::vector<float>& weights, TensorType type, const Rounded& rounded,
                   const Compensation& compensation) {
  const uint64_t n = compensation.moment().n();
  std::vector<float> values(weights.size());
  DequantizeRows(type, rounded.bytes.data(), weights.size() / n, n, values.data());
  double added = 0;
  for (size_t i = 0; i < values.size(); ++i)
    added += compensation.added()[i % n] * std::pow(double{weights[i]} - values[i], 2);
  return rounded.result.error + added;
}

class RoundCompensatedTest : public testing::Test {
 protected:
  RoundCompensatedTest()
      : moment_(MomentOf(CorrelatedInputs(1000, kN, 1))),
        compensation_(Compensation::Prepare(moment_, 1).value()) {}
  SecondMoment moment_;
  Compensation compensation_;
};

TEST_F(RoundCompensatedTest, DoesWhatTheFormulasSay) {
  const std::vector<float> weights = NormalNoise(4 * kN, 3, 0.02F);
  const ReferenceMoment moment = MakeReference(compensation_, 0);
  for (const char* name : {"Q4_0", "Q5_1", "Q3_K", "Q4_K", "IQ4_XS"}) {
    const TensorType type = TypeOf(name);
    for (const int sweeps : {0, 1, 2}) {
      RoundingOptions options;
      options.plain = FixedScales;
      options.refit_groups = false;
      options.sweeps = sweeps;
      const Rounded rounded = Round(weights, type, compensation_, options);
      const double expected = ReferenceError(weights, *FindBlockFormat(type), moment, sweeps);
      // A code that falls the other way by a float's rounding changes those after it.
      EXPECT_NEAR(DampedError(weights, type, rounded, compensation_) / expected, 1, 1e-4)
          << name << ", sweeps: " << sweeps;
    }
  }
}

TEST(RoundCompensatedEdgeTest, TheLastBlockOfColumnsMayBeShort) {
  constexpr uint64_t kShort = 256 + 96;
  const std::vector<float> x = CorrelatedInputs(1000, kShort, 1);
  SecondMoment moment(kShort);
  ASSERT_TRUE(moment.Add(x.data(), 1000, 1).ok());
  const Compensation compensation = Compensation::Prepare(moment, 1).value();
  const ReferenceMoment reference = MakeReference(compensation, 0);
  const std::vector<float> weights = NormalNoise(3 * kShort, 3, 0.02F);
  RoundingOptions options;
  options.plain = FixedScales;
  options.sweeps = 2;
  for (const char* name : {"Q4_0", "Q5_1", "IQ4_NL"}) {
    const TensorType type = TypeOf(name);
    const Rounded rounded = Round(weights, type, compensation, options);
    const double expected = ReferenceError(weights, *FindBlockFormat(type), reference, 2);
    EXPECT_NEAR(DampedError(weights, type, rounded, compensation) / expected, 1, 1e-4) << name;
  }
}

TEST_F(RoundCompensatedTest, IsBetterThanPlainRoundingAndEachSweepHelps) {
  const std::vector<float> weights = NormalNoise(16 * kN, 3, 0.02F);
  for (const char* name : kNames) {
    const TensorType type = TypeOf(name);
    RoundingOptions options;
    options.sweeps = 0;
    const double fed = Round(weights, type, compensation_, options).result.error;
    options.sweeps = 1;
    const double once = Round(weights, type, compensation_, options).result.error;
    options.sweeps = 4;
    const RoundingResult best = Round(weights, type, compensation_, options).result;
    EXPECT_LT(best.error, 0.9 * best.plain_error) << name;
    EXPECT_LT(fed, best.plain_error) << name;
    EXPECT_LT(once, fed) << name;
    EXPECT_LE(best.error, once) << name;
    EXPECT_EQ(best.note, "") << name;
  }
}

TEST_F(RoundCompensatedTest, RefittedScalesHelp) {
  const std::vector<float> weights = NormalNoise(10 * kN, 3, 0.02F);
  for (const char* name : kNames) {
    const TensorType type = TypeOf(name);
    RoundingOptions options;
    options.sweeps = 2;
    options.refit_groups = false;
    const double without = Round(weights, type, compensation_, options).result.error;
    options.refit_groups = true;
    const double groups = Round(weights, type, compensation_, options).result.error;
    options.refit_blocks = true;
    const double both = Round(weights, type, compensation_, options).result.error;
    // Greedy steps may end in a slightly worse place.
    EXPECT_LE(groups, without * 1.03) << name;
    EXPECT_LT(both, groups * 1.03) << name;
  }
}

TEST_F(RoundCompensatedTest, PlainErrorIsThatOfPlainRounding) {
  const TensorType type = TypeOf("Q4_K");
  const std::vector<float> weights = NormalNoise(70 * kN, 3, 0.02F);
  const std::vector<uint8_t> plain = Plain(weights, type, compensation_.importance().data());
  EXPECT_EQ(
      Round(weights, type, compensation_).result.plain_error,
      WeightedErrorOfBlocks({weights.data(), 70, kN}, type, plain.data(), moment_, 1).value());
}

TEST_F(RoundCompensatedTest, WithoutFeedbackAndSweepsItIsPlainRounding) {
  const std::vector<float> weights = NormalNoise(3 * kN, 3, 0.02F);
  RoundingOptions options;
  options.feedback = false;
  options.sweeps = 0;
  for (const char* name : {"Q4_K", "Q6_K", "IQ4_XS"}) {
    const TensorType type = TypeOf(name);
    EXPECT_EQ(Round(weights, type, compensation_, options).bytes,
              Plain(weights, type, compensation_.importance().data()))
        << name;
  }
}

TEST_F(RoundCompensatedTest, TheNumberOfThreadsAndTheOtherRowsChangeNoByte) {
  const std::vector<float> weights = NormalNoise(150 * kN, 3, 0.02F);
  const std::vector<float> last(weights.end() - kN, weights.end());
  for (const char* name : {"Q4_0", "Q3_K"}) {
    const TensorType type = TypeOf(name);
    RoundingOptions options;
    options.refit_groups = options.refit_blocks = true;
    const Rounded one = Round(weights, type, compensation_, options);
    options.threads = 3;
    const Rounded three = Round(weights, type, compensation_, options);
    EXPECT_EQ(one.bytes, three.bytes) << name;
    EXPECT_EQ(one.result.error, three.result.error) << name;
    const Rounded alone = Round(last, type, compensation_, options);
    EXPECT_EQ(alone.bytes,
              std::vector<uint8_t>(one.bytes.end() - static_cast<long>(alone.bytes.size()),
                                   one.bytes.end()))
        << name;
  }
}

TEST_F(RoundCompensatedTest, BlocksOnTheDiagonalAreIndependentProblems) {
  const TensorType type = TypeOf("Q4_K");
  const std::vector<float> weights = NormalNoise(5 * kN, 3, 0.02F);
  const SecondMoment halves = MomentOf(CorrelatedInputs(1000, kN, 1), kN / 2);
  const Compensation compensation = Compensation::Prepare(halves, 1).value();
  const Rounded rounded = Round(weights, type, compensation);
  EXPECT_LT(rounded.result.error, 0.9 * rounded.result.plain_error);
  std::vector<float> changed = weights;
  for (uint64_t row = 0; row < 5; ++row) changed[row * kN + 300] += 0.1F;
  const Rounded other = Round(changed, type, compensation);
  const uint64_t row_bytes = *RowBytes(type, kN);
  for (uint64_t row = 0; row < 5; ++row) {
    EXPECT_EQ(
        std::memcmp(&rounded.bytes[row * row_bytes], &other.bytes[row * row_bytes], row_bytes / 2),
        0);
  }
}

TEST_F(RoundCompensatedTest, AnotherPlainQuantizerGivesTheScales) {
  const TensorType type = TypeOf("Q4_0");
  const std::vector<float> weights = NormalNoise(2 * kN, 3, 0.02F);
  RoundingOptions options;
  options.measure = false;
  options.plain = FixedScales;
  const Rounded rounded = Round(weights, type, compensation_, options);
  for (size_t at = 0; at < rounded.bytes.size(); at += 18) {
    Block block;
    UnpackBlock(*FindBlockFormat(type), &rounded.bytes[at], block);
    EXPECT_EQ(block.scale, RoundToHalf(0.08F / 12));
  }
}

TEST_F(RoundCompensatedTest, ConstantAndZeroRows) {
  std::vector<float> weights = NormalNoise(4 * kN, 3, 0.02F);
  std::fill_n(weights.begin(), kN, 0.0F);
  std::fill_n(weights.begin() + kN, kN, -0.5F);
  std::fill_n(weights.begin() + 2 * kN, kN, 1e-40F);
  for (const char* name : kNames) {
    const TensorType type = TypeOf(name);
    RoundingOptions options;
    options.refit_groups = options.refit_blocks = true;
    const Rounded rounded = Round(weights, type, compensation_, options);
    std::vector<float> values(weights.size());
    DequantizeRows(type, rounded.bytes.data(), 4, kN, values.data());
    for (uint64_t j = 0; j < kN; ++j) {
      EXPECT_EQ(values[j], 0) << name;
      EXPECT_NEAR(values[kN + j], -0.5, 0.15) << name;
      EXPECT_NEAR(values[2 * kN + j], 0, 1e-6) << name;
    }
    EXPECT_TRUE(std::isfinite(rounded.result.error)) << name;
    EXPECT_LE(rounded.result.error, 2 * rounded.result.plain_error) << name;
  }
}

TEST_F(RoundCompensatedTest, RowsBeyondTheTypesRangeArePlainAndCounted) {
  std::vector<float> weights = NormalNoise(3 * kN, 3, 0.02F);
  weights[kN + 7] = 1e9F;
  for (const char* name : {"Q4_0", "Q4_1", "Q3_K", "Q4_K", "IQ4_XS"}) {
    const TensorType type = TypeOf(name);
    RoundingOptions options;
    options.refit_groups = options.refit_blocks = true;
    const Rounded rounded = Round(weights, type, compensation_, options);
    EXPECT_EQ(rounded.result.plain_rows, 1U) << name;
    EXPECT_NE(rounded.result.note.find("1 row"), std::string::npos) << name;
    const std::vector<uint8_t> plain = Plain(weights, type, compensation_.importance().data());
    const uint64_t row_bytes = *RowBytes(type, kN);
    EXPECT_EQ(std::memcmp(&rounded.bytes[row_bytes], &plain[row_bytes], row_bytes), 0) << name;
    const std::vector<float> first(weights.begin(), weights.begin() + kN);
    EXPECT_EQ(std::memcmp(rounded.bytes.data(),
                          Round(first, type, compensation_, options).bytes.data(), row_bytes),
              0)
        << name << ": other rows are as without it";
  }
}

TEST(RoundCompensatedEdgeTest, DeadInputsTakeTheNearestCode) {
  std::vector<float> x = CorrelatedInputs(1000, kN, 1);
  for (uint64_t t = 0; t < 1000; ++t) {
    for (uint64_t j = 100; j < 400; ++j) x[t * kN + j] = 0;
  }
  const SecondMoment moment = MomentOf(x);
  const Compensation compensation = Compensation::Prepare(moment, 1).value();
  const std::vector<float> weights = NormalNoise(4 * kN, 3, 0.02F);
  for (const char* name : kNames) {
    const TensorType type = TypeOf(name);
    const BlockFormat& format = *FindBlockFormat(type);
    const Rounded rounded = Round(weights, type, compensation);
    EXPECT_LT(rounded.result.error, rounded.result.plain_error) << name;
    for (uint64_t j = 100; j < 400; ++j) {
      Block block;
      UnpackBlock(format, &rounded.bytes[j / format.block * format.bytes], block);
      const auto at = static_cast<uint32_t>(j % format.block);
      const double distance = std::abs(ValueOf(format, block, at) - weights[j]);
      for (int code = 0; code < format.levels; ++code) {
        block.codes[at] = static_cast<uint8_t>(code);
        EXPECT_LE(distance, std::abs(ValueOf(format, block, at) - weights[j]) + 1e-6) << name;
      }
    }
  }
}

TEST_F(RoundCompensatedTest, Minus128IsNotMade) {
  const TensorType type = TypeOf("Q8_0");
  std::vector<float> weights = NormalNoise(8 * kN, 3, 0.02F);
  for (float& w : weights) w = -std::abs(w);
  for (size_t i = 0; i < weights.size(); i += 2) weights[i] = -0.05F;
  const Rounded rounded = Round(weights, type, compensation_);
  for (size_t i = 0; i < rounded.bytes.size(); ++i) {
    if (i % 34 < 2) continue;  // the scale
    EXPECT_NE(rounded.bytes[i], 0x80) << i;
  }
}

TEST(RoundCompensatedEdgeTest, WithoutAnyInputItIsPlainAndSaysSo) {
  const SecondMoment moment(kN);
  const Compensation compensation = Compensation::Prepare(moment, 1).value();
  const std::vector<float> weights = NormalNoise(3 * kN, 3, 0.02F);
  const TensorType type = TypeOf("Q4_K");
  const Rounded rounded = Round(weights, type, compensation);
  EXPECT_EQ(rounded.bytes, Plain(weights, type, nullptr));
  EXPECT_NE(rounded.result.note, "");
}

TEST(RoundCompensatedEdgeTest, AWeakOrStrongInputChangesNothing) {
  std::vector<float> x = CorrelatedInputs(1000, kN, 1);
  const std::vector<float> weights = NormalNoise(3 * kN, 3, 0.02F);
  const TensorType type = TypeOf("Q4_K");
  const SecondMoment moment = MomentOf(x);
  const std::vector<uint8_t> bytes =
      Round(weights, type, Compensation::Prepare(moment, 1).value()).bytes;
  for (const float factor : {0x1p-40F, 0x1p30F}) {
    std::vector<float> scaled = x;
    for (float& v : scaled) v *= factor;
    const SecondMoment other = MomentOf(scaled);
    EXPECT_EQ(Round(weights, type, Compensation::Prepare(other, 1).value()).bytes, bytes) << factor;
  }
}

TEST(RoundCompensatedDeathTest, ShapesMustFit) {
  SecondMoment moment(kN, 128);
  const std::vector<float> x = CorrelatedInputs(10, kN, 1);
  ASSERT_TRUE(moment.Add(x.data(), 10, 1).ok());
  const Compensation compensation = Compensation::Prepare(moment, 1).value();
  const std::vector<float> weights(kN);
  std::vector<uint8_t> to(4 * kN);
  const auto round = [&](const char* name, uint64_t n) {
    (void)RoundCompensated({weights.data(), 1, n}, *TensorTypeByName(name), compensation, {},
                           to.data());
  };
  EXPECT_DEATH(round("Q4_K", kN), "internal error");    // 256 weights, moments of 128
  EXPECT_DEATH(round("Q4_0", 256), "internal error");   // another n than the moment's
  EXPECT_DEATH(round("IQ2_XS", kN), "internal error");  // not a type for it
}

}  // namespace
}  // namespace trimma::round_compensated_test
