// Inputs and weights for the tests of rounding.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace trimma {

inline std::vector<float> NormalNoise(uint64_t n, uint32_t seed, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

// Tokens [tokens, n] of correlated inputs: a few common directions, own noise, and some channels
// that are far stronger than the rest. The directions depend on n alone, so another seed gives
// other tokens of the same distribution.
inline std::vector<float> CorrelatedInputs(uint64_t tokens, uint64_t n, uint32_t seed) {
  const uint64_t rank = n / 8 + 1;
  const std::vector<float> directions = NormalNoise(rank * n, 77);
  const std::vector<float> amounts = NormalNoise(tokens * rank, seed);
  std::vector<float> x = NormalNoise(tokens * n, seed + 1, 0.3F);
  for (uint64_t t = 0; t < tokens; ++t) {
    for (uint64_t k = 0; k < rank; ++k) {
      const float amount = amounts[t * rank + k] / std::sqrt(static_cast<float>(k + 1));
      for (uint64_t j = 0; j < n; ++j) x[t * n + j] += amount * directions[k * n + j];
    }
    for (uint64_t j = 0; j < n; j += 37) x[t * n + j] *= 8;
  }
  return x;
}

}  // namespace trimma
