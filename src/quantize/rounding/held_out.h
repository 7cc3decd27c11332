// Whether better rounding is better on inputs that it has not seen.
#pragma once

#include "base/result.h"
#include "quantize/rounding/weighted_error.h"

namespace trimma {

struct RoundingChoice {
  bool compensated = false;  // which of the two to keep
  double plain_error = 0;    // tr(R H R^T) on the held-out moment
  double compensated_error = 0;
};

// Compensated only where it is truly smaller; errors that are not finite never win.
RoundingChoice ChooseRounding(double plain_error, double compensated_error);

// Two roundings of the same weights into blocks of `type`, compared on a moment that neither was
// made with. Errors: an interrupt.
struct Roundings {
  TensorType type{};
  const void* plain = nullptr;
  const void* compensated = nullptr;
};
Result<RoundingChoice> ChooseOnHeldOut(const WeightMatrix& weights, const Roundings& roundings,
                                       const SecondMoment& held_out, int threads);

}  // namespace trimma
