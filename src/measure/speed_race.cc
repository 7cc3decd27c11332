#include "measure/speed_race.h"

#include <algorithm>
#include <limits>
#include <numbers>

#include "base/result.h"

namespace trimma {
namespace {

constexpr int kFirstRounds = 3;

// 3, 4, 6, 8, 12, 16, 24, ...: looks cost certainty, so they grow rarer.
bool IsLook(int rounds) {
  for (int base = 1; base <= rounds; base *= 2) {
    if (rounds >= kFirstRounds && (rounds == 2 * base || rounds == 3 * base)) return true;
  }
  return false;
}

}  // namespace

Race::Race(size_t candidates, const RaceOptions& options)
    : options_(options),
      figures_(candidates),
      left_(candidates, true),
      undecided_(candidates > 1 ? std::numeric_limits<double>::infinity() : 0) {
  CHECK(candidates > 0);
}

void Race::Record(size_t candidate, double log_gain) {
  figures_[candidate].push_back({round_, log_gain});
}

void Race::Withdraw(size_t candidate) {
  left_[candidate] = false;
  if (Decided()) undecided_ = 0;
}

std::vector<double> Race::Lead(size_t candidate, size_t over) const {
  std::vector<double> lead;
  auto other = figures_[over].begin();
  for (const Figure& figure : figures_[candidate]) {
    while (other != figures_[over].end() && other->round < figure.round) ++other;
    if (over == 0) {
      lead.push_back(figure.log_gain);
    } else if (other != figures_[over].end() && other->round == figure.round) {
      lead.push_back(figure.log_gain - other->log_gain);
    }
  }
  return lead;
}

double Race::Mean(size_t candidate) const {
  return candidate == 0 ? 0 : TrimmedInterval(Lead(candidate, 0), 0.5).mean;
}

size_t Race::Leader() const {
  size_t leader = 0;
  double best = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < figures_.size(); ++i) {
    if (!left_[i] || (i > 0 && figures_[i].empty())) continue;
    const double mean = Mean(i);
    if (mean > best) best = mean, leader = i;
  }
  return leader;
}

bool Race::Decided() const { return std::count(left_.begin(), left_.end(), true) <= 1; }

void Race::EndRound() {
  ++round_;
  if (!IsLook(round_) || Decided()) return;
  ++looks_;
  const double share = 6 / (std::numbers::pi * std::numbers::pi * looks_ * looks_);
  const double tail = options_.error * share / static_cast<double>(figures_.size() - 1);
  const size_t leader = Leader();
  undecided_ = 0;
  for (size_t i = 0; i < figures_.size(); ++i) {
    if (!left_[i] || i == leader) continue;
    double may_lead_by = 0;
    if (i == 0) {
      // The anchor's figure is 0 in every round.
      may_lead_by = -TrimmedInterval(Lead(leader, 0), tail).low;
    } else {
      may_lead_by = TrimmedInterval(Lead(i, leader), tail).high;
    }
    // Half of what is felt: two such steps in a row still lose no more than that.
    if (may_lead_by < options_.felt / 2) {
      left_[i] = false;
    } else {
      undecided_ = std::max(undecided_, may_lead_by);
    }
  }
}

}  // namespace trimma
