#include "quantize/rounding/compensation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/parallel.h"
#include "quantize/rounding/factor.h"

namespace trimma {
namespace {

constexpr double kMostDamping = 1000;

}  // namespace

Result<Compensation> Compensation::Prepare(const SecondMoment& moment, int threads,
                                           Damping damping) {
  CHECK(damping.own >= 0 && damping.mean > 0);
  Compensation result(moment);
  result.damping_ = damping;
  result.importance_ = moment.Diagonal();
  double sum = 0;
  for (const float d : result.importance_) sum += d;
  if (!std::isfinite(sum))
    return Error{Code::kInvalid, "the second moment of an input is not finite", ""};
  result.mean_ = sum / static_cast<double>(moment.n());
  if (!(result.mean_ >= std::numeric_limits<float>::min())) {
    result.is_zero_ = true;
    return result;
  }
  result.factor_.resize(moment.blocks() * result.MatrixSize());
  while (true) {
    result.SetAdded();
    TRY(const bool done, result.TryFactors(threads));
    if (done) break;
    result.damping_.mean *= 10;
    result.damping_was_raised_ = true;
    if (result.damping_.mean > kMostDamping)
      return Error{Code::kInvalid, "the second moment of an input is not positive definite", ""};
  }
  for (uint64_t j = 0; j < moment.n(); ++j) {
    result.importance_[j] =
        static_cast<float>((result.importance_[j] + result.added_[j]) / result.mean_);
  }
  result.Invert();
  return result;
}

void Compensation::SetAdded() {
  added_ = moment_->Diagonal();
  for (float& d : added_) d = static_cast<float>(damping_.own * d + damping_.mean * mean_);
}

// The factor of the damped H over its mean diagonal, which keeps floats in their range.
Result<bool> Compensation::TryFactors(int threads) {
  const auto scale = static_cast<float>(1 / mean_);
  const uint64_t size = moment_->block();
  for (uint64_t i = 0; i < moment_->blocks(); ++i) {
    float* to = factor_.data() + i * MatrixSize();
    const float* from = moment_->Matrix(i);
    TRY_STATUS(ParallelFor(size, threads, [&](uint64_t j) -> Status {
      const size_t row = j * moment_->stride();
      for (uint64_t k = 0; k < size; ++k) to[row + k] = from[row + k] * scale;
      to[row + j] += added_[i * size + j] * scale;
      return {};
    }));
    TRY(const bool done, FactorFromTheEnd({to, size, moment_->stride()}, threads));
    if (!done) return false;
  }
  return true;
}

void Compensation::Invert() {
  const uint64_t size = moment_->block();
  inverses_.resize(moment_->blocks() * BlocksOfMatrix() * kBlock * kBlock);
  for (uint64_t i = 0; i < moment_->blocks(); ++i) {
    for (uint64_t j = 0; j < size; j += kBlock) {
      float* m = factor_.data() + i * MatrixSize() + j * (moment_->stride() + 1);
      float* to = inverses_.data() + (i * BlocksOfMatrix() + j / kBlock) * kBlock * kBlock;
      const uint64_t width = std::min(kBlock, size - j);
      InvertUpper({m, width, moment_->stride()}, {to, width, kBlock});
    }
  }
}

}  // namespace trimma
