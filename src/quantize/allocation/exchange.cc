#include "quantize/allocation/exchange.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/result.h"

namespace trimma {
namespace {

// How far a sensitivity measured alone, with one coarse type, is thought to be off in the mix, as a
// share of itself. An assumption, which the first trials correct; no measurement stands behind it.
constexpr double kPriorDeviation = 0.5;
// How many standard deviations a trial may be hoped to do better than expected. In simulated mixes
// of 57 tensors, 32 trials with 0 found nothing, with 0.6 half of what there was, with 1 to 1.5 the
// most (exchange_test.cc has such a mix).
constexpr double kOptimism = 1.0;
// Pairs are made of the moves that promise most: all pairs of a large model are too many.
constexpr size_t kMostMoves = 400;

std::vector<std::array<size_t, 3>> KeyOf(const Exchange& exchange,
                                         const std::vector<size_t>& chosen) {
  std::vector<std::array<size_t, 3>> key;
  for (const ExchangeStep& step : exchange)
    key.push_back({step.tensor, chosen[step.tensor], step.to});
  std::sort(key.begin(), key.end());
  return key;
}

}  // namespace

Exchanges::Exchanges(std::vector<TypeChoices> tensors, std::vector<size_t> chosen,
                     uint64_t spare_bytes)
    : tensors_(std::move(tensors)),
      chosen_(std::move(chosen)),
      spare_(static_cast<int64_t>(spare_bytes)),
      factor_(tensors_.size(), 1.0),
      covariance_(tensors_.size() * tensors_.size(), 0.0) {
  CHECK(tensors_.size() == chosen_.size());
  for (size_t i = 0; i < tensors_.size(); ++i)
    covariance_[i * tensors_.size() + i] = kPriorDeviation * kPriorDeviation;
}

double Exchanges::LossChange(const ExchangeStep& step) const {
  const TypeChoices& choices = tensors_[step.tensor];
  return choices[step.to].loss - choices[chosen_[step.tensor]].loss;
}

std::vector<Exchanges::Move> Exchanges::Moves() const {
  std::vector<Move> moves;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const TypeChoice& now = tensors_[i][chosen_[i]];
    for (size_t t = 0; t < tensors_[i].size(); ++t) {
      if (t == chosen_[i]) continue;
      const int64_t bytes =
          static_cast<int64_t>(tensors_[i][t].bytes) - static_cast<int64_t>(now.bytes);
      moves.push_back({{i, t}, bytes, LossChange({i, t})});
    }
  }
  return moves;
}

double Exchanges::Promise(const Exchange& exchange) const {
  double mean = 0;
  double variance = 0;
  for (const ExchangeStep& a : exchange) {
    mean += factor_[a.tensor] * LossChange(a);
    for (const ExchangeStep& b : exchange) {
      variance +=
          LossChange(a) * LossChange(b) * covariance_[a.tensor * tensors_.size() + b.tensor];
    }
  }
  return mean - kOptimism * std::sqrt(std::max(0.0, variance));
}

bool Exchanges::WasTried(const Exchange& exchange) const {
  return tried_.contains(KeyOf(exchange, chosen_));
}

std::optional<Exchange> Exchanges::Next() const {
  std::vector<Move> better, smaller;
  for (const Move& move : Moves()) {
    if (move.loss < 0) better.push_back(move);
    if (move.bytes < 0) smaller.push_back(move);
  }
  // By what a byte gains, and what a byte saved costs.
  const auto worth = [&](const Move& m) {
    return factor_[m.step.tensor] * m.loss / static_cast<double>(std::max<int64_t>(1, m.bytes));
  };
  const auto cost = [&](const Move& m) {
    return factor_[m.step.tensor] * m.loss / static_cast<double>(-m.bytes);
  };
  std::sort(better.begin(), better.end(),
            [&](const Move& a, const Move& b) { return worth(a) < worth(b); });
  std::sort(smaller.begin(), smaller.end(),
            [&](const Move& a, const Move& b) { return cost(a) < cost(b); });
  better.resize(std::min(better.size(), kMostMoves));
  smaller.resize(std::min(smaller.size(), kMostMoves));

  std::optional<Exchange> best;
  double promise = 0;
  const auto consider = [&](const Exchange& exchange) {
    const double promised = Promise(exchange);
    if (promised >= promise || WasTried(exchange)) return;
    promise = promised;
    best = exchange;
  };
  for (const Move& up : better) {
    if (up.bytes <= spare_) consider({up.step});
    for (const Move& down : smaller) {
      if (down.step.tensor == up.step.tensor || up.bytes + down.bytes > spare_) continue;
      consider({up.step, down.step});
    }
  }
  return best;
}

void Exchanges::Learn(const Exchange& exchange, const ExchangeResult& result) {
  const size_t n = tensors_.size();
  // A Kalman step: the change is the sum of factor x loss change, seen with an error.
  std::vector<double> gain(n, 0.0);
  double expected = 0;
  for (const ExchangeStep& step : exchange) {
    expected += factor_[step.tensor] * LossChange(step);
    for (size_t i = 0; i < n; ++i) gain[i] += covariance_[i * n + step.tensor] * LossChange(step);
  }
  double variance = result.standard_error * result.standard_error;
  for (const ExchangeStep& step : exchange) variance += gain[step.tensor] * LossChange(step);
  if (variance > 0) {
    for (size_t i = 0; i < n; ++i)
      factor_[i] = std::max(0.0, factor_[i] + gain[i] / variance * (result.change - expected));
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) covariance_[i * n + j] -= gain[i] * gain[j] / variance;
    }
  }
  tried_.insert(KeyOf(exchange, chosen_));
  if (!result.taken) return;
  for (const ExchangeStep& step : exchange) {
    const TypeChoices& choices = tensors_[step.tensor];
    spare_ -= static_cast<int64_t>(choices[step.to].bytes) -
              static_cast<int64_t>(choices[chosen_[step.tensor]].bytes);
    chosen_[step.tensor] = step.to;
  }
  CHECK(spare_ >= 0);
}

}  // namespace trimma
