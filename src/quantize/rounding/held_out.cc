#include "quantize/rounding/held_out.h"

#include <cmath>

namespace trimma {

RoundingChoice ChooseRounding(double plain_error, double compensated_error) {
  const bool wins = std::isfinite(compensated_error) &&
                    (compensated_error < plain_error || std::isnan(plain_error));
  return {wins, plain_error, compensated_error};
}

Result<RoundingChoice> ChooseOnHeldOut(const WeightMatrix& weights, const Roundings& roundings,
                                       const SecondMoment& held_out, int threads) {
  TRY(const double plain,
      WeightedErrorOfBlocks(weights, roundings.type, roundings.plain, held_out, threads));
  TRY(const double compensated,
      WeightedErrorOfBlocks(weights, roundings.type, roundings.compensated, held_out, threads));
  return ChooseRounding(plain, compensated);
}

}  // namespace trimma
