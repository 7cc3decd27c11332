// Steps from an allocation to a better one: a tensor gets more bits, another gives them, and the
// real divergence says whether that is kept. The sensitivities that the allocation went by are
// estimates; every trial corrects them, so that the next is chosen better. Pure.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "quantize/allocation/allocate.h"

namespace trimma {

struct ExchangeStep {
  size_t tensor = 0;
  size_t to = 0;  // index into the tensor's choices
  bool operator==(const ExchangeStep&) const = default;
  auto operator<=>(const ExchangeStep&) const = default;
};

// One step, or two: the second makes room for the first.
using Exchange = std::vector<ExchangeStep>;

// What the divergence was seen to do, nats a token.
struct ExchangeResult {
  double change = 0;          // below 0: better
  double standard_error = 0;  // of that
  bool taken = false;
};

class Exchanges {
 public:
  // `chosen` of every tensor's choices, whose bytes leave `spare_bytes` of the budget.
  Exchanges(std::vector<TypeChoices> tensors, std::vector<size_t> chosen, uint64_t spare_bytes);

  // The untried exchange within the budget that may gain most, as far as that is known: what is
  // expected of it less one standard deviation. nullopt: none may gain anything.
  std::optional<Exchange> Next() const;

  // Corrects what the tensors of `exchange` are thought to lose; if it was taken, goes on from
  // there.
  void Learn(const Exchange& exchange, const ExchangeResult& result);

  const std::vector<size_t>& chosen() const { return chosen_; }

 private:
  struct Move {
    ExchangeStep step;
    int64_t bytes = 0;
    double loss = 0;  // as the sensitivities say
  };
  std::vector<Move> Moves() const;
  double Promise(const Exchange& exchange) const;
  double LossChange(const ExchangeStep& step) const;
  bool WasTried(const Exchange& exchange) const;

  std::vector<TypeChoices> tensors_;
  std::vector<size_t> chosen_;
  int64_t spare_;
  // What a tensor's loss is to be multiplied with: its mean, and the covariance of all.
  std::vector<double> factor_;
  std::vector<double> covariance_;                      // [tensors, tensors]
  std::set<std::vector<std::array<size_t, 3>>> tried_;  // (tensor, from, to) of each step
};

}  // namespace trimma
