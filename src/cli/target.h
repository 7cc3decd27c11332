// Where a plan is for: this machine, or cards that it is to have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hardware/cards.h"
#include "hardware/machine.h"
#include "plan/pricing.h"

namespace trimma {

struct TargetOptions {
  std::vector<std::string> gpus;  // names of the catalogue, or "none"; empty: this machine's
  // Of each card, what is free for everything; several as gpus. With no gpus: a card of that size.
  std::vector<std::string> vram;
  bool bench_outputs = false;
};

struct PlanTarget {
  PricingTarget pricing;
  Machine machine;  // as if it had these cards
  // Of each GPU: its row of the catalogue, where one is meant.
  std::vector<std::optional<Card>> cards;
  bool imagined = false;  // some card isn't there
  std::vector<std::string> notes;
};

// kNotFound for an unknown card, kUsage for sizes that make no sense.
Result<PlanTarget> ChooseTarget(const Machine& machine, const TargetOptions& options);

}  // namespace trimma
