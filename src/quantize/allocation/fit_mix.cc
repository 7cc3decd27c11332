#include "quantize/allocation/fit_mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace trimma {
namespace {

// Steps and halves together; more than any model needs.
constexpr int kMostTrials = 24;

Result<FittedMix> Try(const FitQuestion& question, uint64_t budget) {
  FittedMix fitted;
  fitted.budget_bytes = budget;
  TRY(fitted.mix, question.choose(budget));
  TRY(fitted.room_bytes, question.room(fitted.mix.assignment));
  return fitted;
}

}  // namespace

Result<std::optional<FittedMix>> FitMix(const FitQuestion& question) {
  TRY(FittedMix best, Try(question, question.least_bytes));
  if (best.room_bytes < 0) return std::optional<FittedMix>();
  std::optional<uint64_t> too_large;  // the smallest budget that is known not to fit
  for (int trial = 0; trial < kMostTrials; ++trial) {
    const uint64_t step = std::max<uint64_t>(static_cast<uint64_t>(best.room_bytes), kFitStep);
    uint64_t next = std::min(best.budget_bytes + step, question.most_bytes);
    if (too_large && next >= *too_large)
      next = best.budget_bytes + (*too_large - best.budget_bytes) / 2;
    if (next <= best.budget_bytes || (too_large && next - best.budget_bytes < kFitStep / 2)) break;
    TRY(FittedMix fitted, Try(question, next));
    if (fitted.room_bytes < 0) {
      too_large = next;
    } else {
      best = std::move(fitted);
    }
  }
  return std::optional(std::move(best));
}

}  // namespace trimma
