#include "measure/speed_anchor.h"

#include <algorithm>
#include <cmath>

#include "base/stats.h"

namespace trimma {
namespace {

constexpr double kSettledWithin = 0.05;
constexpr size_t kChangesForScatter = 5;

std::optional<double> Between(const std::optional<double>& a, const std::optional<double>& b,
                              double share) {
  if (!a || !b) return std::nullopt;
  return *a + (*b - *a) * share;
}

}  // namespace

bool Settled(const std::vector<double>& seconds, int needed) {
  if (seconds.size() < static_cast<size_t>(needed) + 1) return false;
  for (size_t i = seconds.size() - static_cast<size_t>(needed); i < seconds.size(); ++i) {
    if (seconds[i] < (1 - kSettledWithin) * seconds[i - 1]) return false;
  }
  return true;
}

Visit AnchorAt(const Visit& before, const Visit& after, double at) {
  const double span = after.at - before.at;
  const double share = span > 0 ? std::clamp((at - before.at) / span, 0.0, 1.0) : 0.5;
  return {Between(before.prefill, after.prefill, share),
          Between(before.decode, after.decode, share), at};
}

bool DriftWatch::Judges() const {
  return std::max(prefill_.changes.size(), decode_.changes.size()) >= kChangesForScatter;
}

bool DriftWatch::Drifted(Phase& phase, double before, double after) const {
  const double change = std::abs(std::log(after / before));
  double limit = 2 * felt_;
  // Of few changes no scatter is known; then the first ones are trusted.
  const bool known = phase.changes.size() >= kChangesForScatter;
  if (known) {
    std::vector<double> sorted = phase.changes;
    std::sort(sorted.begin(), sorted.end());
    limit = std::max(limit, 4 * 1.4826 * Quantile(sorted, 0.5));
  }
  phase.changes.push_back(change);
  return known && change > limit;
}

bool DriftWatch::Drifted(const Visit& before, const Visit& after) {
  bool drifted = false;
  if (before.prefill && after.prefill) drifted = Drifted(prefill_, *before.prefill, *after.prefill);
  if (before.decode && after.decode)
    drifted = Drifted(decode_, *before.decode, *after.decode) || drifted;
  return drifted;
}

}  // namespace trimma
