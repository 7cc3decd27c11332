#include "quantize/allocation/allocate_in_time.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace trimma {
namespace {

constexpr double kRise = 8;      // from one price tried to the next
constexpr int kMostRises = 14;   // far beyond any price that still changes something
constexpr double kFineRise = 2;  // the same where both prices rise
constexpr int kMostFineRises = 16;
constexpr int kHalvings = 7;      // of the way between the last two
constexpr double kFirst = 0.001;  // of the loss, for the time that is too much

using Price = Seconds;  // nats a second

class Search {
 public:
  Search(const std::vector<TypeChoices>& tensors, uint64_t budget_bytes, const TimeLimit& limit)
      : tensors_(tensors), budget_(budget_bytes), limit_(limit) {}

  Result<TimedAllocation> Run() {
    TRY(best_, At({}));
    const Seconds excess = {Excess(best_, &Seconds::token), Excess(best_, &Seconds::prompt)};
    // Each price may take the other's limit along, or break it again.
    for (double Seconds::* which :
         {&Seconds::token, &Seconds::prompt, &Seconds::token, &Seconds::prompt}) {
      if (!Keeps(best_, which)) TRY_STATUS(Raise(which));
    }
    if (!KeepsBoth(best_)) TRY_STATUS(RaiseBoth(excess));
    return TimedAllocation{best_, KeepsBoth(best_)};
  }

 private:
  Result<Allocation> At(const Price& price) const {
    std::vector<TypeChoices> priced = tensors_;
    for (size_t t = 0; t < priced.size(); ++t) {
      for (size_t c = 0; c < priced[t].size(); ++c) {
        const Seconds& extra = limit_.extra[t][c];
        priced[t][c].loss += price.token * extra.token + price.prompt * extra.prompt;
      }
    }
    TRY(Allocation allocation, AllocateWithin(priced, budget_));
    allocation.loss = 0;
    for (size_t t = 0; t < tensors_.size(); ++t)
      allocation.loss += tensors_[t][allocation.chosen[t]].loss;
    return allocation;
  }

  double Excess(const Allocation& allocation, double Seconds::* which) const {
    double sum = 0;
    for (size_t t = 0; t < tensors_.size(); ++t)
      sum += limit_.extra[t][allocation.chosen[t]].*which;
    return sum - limit_.allowed.*which;
  }

  bool Keeps(const Allocation& allocation, double Seconds::* which) const {
    return Excess(allocation, which) <= 0;
  }

  bool KeepsBoth(const Allocation& allocation) const {
    return Keeps(allocation, &Seconds::token) && Keeps(allocation, &Seconds::prompt);
  }

  // Both prices at once, in several proportions: where each alone breaks the other's limit.
  Status RaiseBoth(const Seconds& excess) {
    std::optional<Allocation> found;
    const Price unit = {1 / std::max(std::abs(excess.token), 1e-12),
                        1 / std::max(std::abs(excess.prompt), 1e-12)};
    for (const double share : {0.5, 0.2, 0.8, 0.05, 0.95}) {
      double high = kFirst * std::max(best_.loss, 1e-9);
      for (int i = 0; i < kMostFineRises; ++i, high *= kFineRise) {
        TRY(Allocation allocation,
            At({high * share * unit.token, high * (1 - share) * unit.prompt}));
        if (!KeepsBoth(allocation)) continue;
        if (!found || allocation.loss < found->loss) found = std::move(allocation);
        break;
      }
    }
    if (found) best_ = *std::move(found);
    return {};
  }

  // The lowest price of this time that keeps its limit.
  Status Raise(double Seconds::* which) {
    double low = price_.*which;
    double high = std::max(
        low * kRise, kFirst * std::max(best_.loss, 1e-9) / std::max(Excess(best_, which), 1e-12));
    for (int i = 0; i < kMostRises; ++i, low = high, high *= kRise) {
      price_.*which = high;
      TRY(best_, At(price_));
      if (Keeps(best_, which)) break;
    }
    if (!Keeps(best_, which)) return {};
    for (int i = 0; i < kHalvings; ++i) {
      Price between = price_;
      between.*which = low > 0 ? std::sqrt(low * high) : high / kRise;
      TRY(Allocation allocation, At(between));
      if (Keeps(allocation, which)) {
        high = between.*which;
        best_ = std::move(allocation);
      } else {
        low = between.*which;
      }
    }
    price_.*which = high;
    return {};
  }

  const std::vector<TypeChoices>& tensors_;
  uint64_t budget_;
  const TimeLimit& limit_;
  Price price_;
  Allocation best_;
};

}  // namespace

Result<TimedAllocation> AllocateInTime(const std::vector<TypeChoices>& tensors,
                                       uint64_t budget_bytes, const TimeLimit& limit) {
  return Search(tensors, budget_bytes, limit).Run();
}

}  // namespace trimma
