// What one cell is worth for a purpose, and how sure that is. Used by choosing.
#pragma once

#include <vector>

#include "plan/cell.h"
#include "plan/purpose.h"

namespace trimma {

// Which predictions every fitting cell has. What only some have can't be compared.
struct Known {
  bool loss = false;
  bool speed = false;
  bool wait = false;         // or WaitMs() stands in for it, of a host alone beside GPUs
  double bytes_per_bit = 1;  // of a file, for one more bit per weight
};
// `parameters`: of the model; 0 where that isn't known.
Known WhatIsKnown(const std::vector<PlanCell>& cells, uint64_t parameters = 0);

// Mean bits of an element of K and V.
double KvBits(const RuntimeSettings& settings);

// Milliseconds before the first word; where a host alone has no prediction of it, what reading the
// prompt token by token would take, which is the most.
double WaitMs(const PlanCell& cell);

// Bytes read for a token, those on the host counted ten times beside a GPU: what takes the place of
// a speed that isn't predicted.
double BytesRead(const PlanCell& cell);

// Cells of one plan share most of their prediction's error (the model's own sensitivity, the card's
// true bandwidth); this is what remains between two of them, in ln.
inline constexpr double kLossTolerance = 0.26;   // the spread of one model's types (quality_fit.h)
inline constexpr double kSpeedTolerance = 0.10;  // the median error asked of speed prediction

struct Worth {
  double cost = 0;  // Taste's sum; less is better
  // How much of it prediction can't tell apart, by term; 0 where the term is at its best.
  double loss_doubt = 0;
  double speed_doubt = 0;
  double wait_doubt = 0;
};

Worth WorthOf(const PlanCell& cell, const Known& known, const Taste& taste);

// True where b's cost is above a's by no more than predictions can't tell apart.
bool NoWorse(const Worth& b, const Worth& a);

}  // namespace trimma
