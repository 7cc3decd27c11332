#include <algorithm>
#include <array>

#include "plan/choose.h"
#include "plan/worth.h"

namespace trimma {
namespace {

// What a cell is compared in; more is better in each.
using Merits = std::array<double, 5>;

Merits MeritsOf(const PlanCell& cell, const Known& known) {
  return {known.loss ? -cell.mean_kld->value : static_cast<double>(cell.file_bytes),
          known.loss ? 0.0 : KvBits(cell.settings),
          known.speed ? cell.decode_tps->value : -BytesRead(cell), known.wait ? -WaitMs(cell) : 0.0,
          static_cast<double>(cell.settings.context)};
}

bool Beats(const Merits& a, const Merits& b) {
  bool better = false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] < b[i]) return false;
    better |= a[i] > b[i];
  }
  return better;
}

}  // namespace

void MarkPareto(std::vector<PlanCell>& cells) {
  const Known known = WhatIsKnown(cells);
  std::vector<size_t> fitting;
  std::vector<Merits> merits(cells.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i].pareto = false;
    if (!cells[i].fits) continue;
    fitting.push_back(i);
    merits[i] = MeritsOf(cells[i], known);
  }
  for (const size_t i : fitting) {
    cells[i].pareto = std::none_of(fitting.begin(), fitting.end(),
                                   [&](size_t other) { return Beats(merits[other], merits[i]); });
  }
}

}  // namespace trimma
