// Rows for the kernels' tests: of every shape that a group can have, and some that none should.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace trimma {

enum class RowKind {
  kZero,
  kConstant,
  kNegativeConstant,
  kHeavyTails,
  kPositive,
  kNegative,
  kIntegers,  // ties
  kSparse,
  kNearlyConstant,
  kTwoValues,
  kTiny,  // half can't hold them
  kGaussian,
  kCount
};

inline float DrawWeight(RowKind kind, float scale, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::student_t_distribution<float> heavy(2);
  switch (kind) {
    case RowKind::kZero:
      return 0;
    case RowKind::kConstant:
      return scale;
    case RowKind::kNegativeConstant:
      return -scale;
    case RowKind::kHeavyTails:
      return scale * heavy(random);
    case RowKind::kPositive:
      return scale * std::fabs(normal(random));
    case RowKind::kNegative:
      return -scale * std::fabs(normal(random));
    case RowKind::kIntegers:
      return scale * std::round(normal(random));
    case RowKind::kSparse:
      return random() % 8 == 0 ? scale * normal(random) : 0;
    case RowKind::kNearlyConstant:
      return scale * (1 + 1e-3F * normal(random));
    case RowKind::kTwoValues:
      return random() % 2 == 0 ? scale : -scale;
    case RowKind::kTiny:
      return 1e-16F * normal(random);
    default:
      return scale * normal(random);
  }
}

// Of one kind, or of a new kind every 16 weights.
inline std::vector<float> AdversarialRow(uint64_t length, std::mt19937& random) {
  std::uniform_int_distribution<int> kinds(0, static_cast<int>(RowKind::kCount) - 1);
  std::uniform_real_distribution<float> exponent(-6, 2);
  const bool mixed = random() % 2 == 0;
  std::vector<float> row(length);
  RowKind kind{};
  float scale = 1;
  for (uint64_t i = 0; i < length; ++i) {
    if (i == 0 || (mixed && i % 16 == 0)) {
      kind = static_cast<RowKind>(kinds(random));
      scale = std::pow(10.0F, exponent(random));
    }
    row[i] = DrawWeight(kind, scale, random);
  }
  return row;
}

// Log-normal; or with zeros, single ones or whole groups; or all alike.
inline std::vector<float> AdversarialImportance(uint64_t length, std::mt19937& random) {
  std::lognormal_distribution<float> spread(0, 2);
  std::vector<float> weights(length);
  const auto kind = random() % 4;
  for (uint64_t i = 0; i < length; ++i) {
    weights[i] = spread(random);
    if (kind == 1 && random() % 3 == 0) weights[i] = 0;
    if (kind == 2 && i / 32 % 2 == 0) weights[i] = 0;
    if (kind == 3) weights[i] = 1;
  }
  return weights;
}

}  // namespace trimma
