// Compensated rounding as the formulas say, row by row and in doubles: what the fast code is
// compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "quantize/blocks/block_format.h"
#include "quantize/rounding/compensation.h"

namespace trimma {

// Dense matrices of doubles [n, n].
struct ReferenceMoment {
  uint64_t n = 0;
  std::vector<double> h;  // damped
  std::vector<double> u;  // upper Cholesky factor of inv(h): inv(h) = u^T u
};

// Gauss-Jordan; for symmetric positive definite matrices.
inline std::vector<double> ReferenceInverse(std::vector<double> a, uint64_t n) {
  std::vector<double> inverse(n * n);
  for (uint64_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (uint64_t p = 0; p < n; ++p) {
    const double pivot = a[p * n + p];
    for (uint64_t j = 0; j < n; ++j) {
      a[p * n + j] /= pivot;
      inverse[p * n + j] /= pivot;
    }
    for (uint64_t i = 0; i < n; ++i) {
      const double factor = a[i * n + p];
      if (i == p || factor == 0) continue;
      for (uint64_t j = 0; j < n; ++j) {
        a[i * n + j] -= factor * a[p * n + j];
        inverse[i * n + j] -= factor * inverse[p * n + j];
      }
    }
  }
  return inverse;
}

inline std::vector<double> ReferenceUpperCholesky(std::vector<double> a, uint64_t n) {
  for (uint64_t p = 0; p < n; ++p) {
    const double root = std::sqrt(a[p * n + p]);
    for (uint64_t j = 0; j < n; ++j) a[p * n + j] = j < p ? 0 : a[p * n + j] / root;
    for (uint64_t i = p + 1; i < n; ++i) {
      for (uint64_t j = i; j < n; ++j) a[i * n + j] -= a[p * n + i] * a[p * n + j];
    }
  }
  return a;
}

inline ReferenceMoment MakeReference(const Compensation& compensation, uint64_t matrix) {
  const SecondMoment& moment = compensation.moment();
  ReferenceMoment result;
  const uint64_t n = result.n = moment.block();
  result.h.resize(n * n);
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = 0; j < n; ++j)
      result.h[i * n + j] = moment.Matrix(matrix)[i * moment.stride() + j];
    result.h[i * n + i] += compensation.added()[matrix * n + i];
  }
  result.u = ReferenceUpperCholesky(ReferenceInverse(result.h, n), n);
  return result;
}

inline uint8_t ReferenceNearest(const BlockFormat& format, double scale, double min, double x) {
  int best = format.first_code;
  for (int code = best + 1; code < format.levels; ++code) {
    const auto distance = [&](int c) {
      return std::abs(scale * format.Level(static_cast<uint8_t>(c)) - min - x);
    };
    if (distance(code) < distance(best)) best = code;
  }
  return static_cast<uint8_t>(best);
}

// One row of compensation.moment().block() weights.
class ReferenceRow {
 public:
  ReferenceRow(const BlockFormat& format, const ReferenceMoment& moment, const float* weights)
      : format_(format), moment_(moment), weights_(weights), blocks_(moment.n / format.block) {}

  // GPTQ. `take_scales(from [block] floats, column)` makes the block whose scales are used.
  template <typename TakeScales>
  void Feed(const TakeScales& take_scales) {
    const uint64_t n = moment_.n;
    std::vector<double> targets(weights_, weights_ + n);
    for (uint64_t j = 0; j < n; ++j) {
      if (j % format_.block == 0) {
        const std::vector<float> from(targets.begin() + static_cast<long>(j),
                                      targets.begin() + static_cast<long>(j + format_.block));
        blocks_[j / format_.block] = take_scales(from, j);
      }
      SetNearest(j, targets[j]);
      const double error = (targets[j] - Value(j)) / moment_.u[j * n + j];
      for (uint64_t k = j; k < n; ++k) targets[k] -= error * moment_.u[j * n + k];
    }
  }

  // One sweep of coordinate descent; returns how many codes changed.
  int Sweep() {
    const uint64_t n = moment_.n;
    int changes = 0;
    for (uint64_t j = 0; j < n; ++j) {
      double product = 0;
      for (uint64_t k = 0; k < n; ++k) product += moment_.h[j * n + k] * (weights_[k] - Value(k));
      if (Scale(j) == 0) continue;
      changes += SetNearest(j, Value(j) + product / moment_.h[j * n + j]) ? 1 : 0;
    }
    return changes;
  }

  double Error() const {  // r^T h r, damped
    double error = 0;
    for (uint64_t j = 0; j < moment_.n; ++j) {
      for (uint64_t k = 0; k < moment_.n; ++k) {
        error += (weights_[j] - Value(j)) * moment_.h[j * moment_.n + k] * (weights_[k] - Value(k));
      }
    }
    return error;
  }

  std::vector<Block>& blocks() { return blocks_; }
  double Value(uint64_t j) const {
    return ValueOf(format_, blocks_[j / format_.block], static_cast<uint32_t>(j % format_.block));
  }

 private:
  double Scale(uint64_t j) const {
    return blocks_[j / format_.block].GroupScale(
        static_cast<uint32_t>(j % format_.block / format_.group));
  }
  bool SetNearest(uint64_t j, double x) {
    Block& block = blocks_[j / format_.block];
    const auto group = static_cast<uint32_t>(j % format_.block / format_.group);
    uint8_t& code = block.codes[j % format_.block];
    const uint8_t nearest = ReferenceNearest(format_, Scale(j), block.GroupMin(group), x);
    const bool changed = code != nearest;
    code = nearest;
    return changed;
  }

  const BlockFormat& format_;
  const ReferenceMoment& moment_;
  const float* weights_;
  std::vector<Block> blocks_;
};

}  // namespace trimma
