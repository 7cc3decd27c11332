// Where a file's layers go on this machine's cards, before anything of it is measured.
#pragma once

#include <string>
#include <vector>

#include "cli/machine.h"
#include "cli/target.h"
#include "measure/speed.h"
#include "tune/placements.h"

namespace trimma {

// This machine, with what of its cards may be used.
struct Site {
  MachineScan scan;
  PlanTarget target;  // of this machine's own cards, all or none of them
};

Result<Site> SiteOf(MachineScan scan);  // with all cards

struct CardPlacing {
  RuntimeSettings settings;  // gpu_layers, host_tensors and use_gpu as planned
  bool whole = false;        // all on the cards
  OtherPlacements other;     // that may be faster, where not all fits
  std::string note;          // where the cards don't hold all of it: what became of it, for people
};

// As the planner places `file` as it is, with the margin learned here. `settings` as they are where
// there is no card, they leave the cards out, or name a number of layers. kNoFit: nothing fits.
Result<CardPlacing> PlaceOnCards(const GgufFile& file, const Site& site,
                                 const RuntimeSettings& settings);

// The same for measuring, with no more context than the model was trained for: what fits nowhere is
// left to the host, which can read a file piece by piece, and what can't be planned stays as the
// settings say. Fails only where it was interrupted.
Result<CardPlacing> PlacedForMeasuring(const GgufFile& file, const Site& site,
                                       const RuntimeSettings& settings);

// Where the cards don't hold all of these at once, or that can't be told, one is loaded at a time,
// and load times come from the changes. Each counts with its weights, also where two are one file.
void LoadAsCardsHold(const std::vector<SpeedSubject>& subjects, const Site& site,
                     SpeedOptions& options);

}  // namespace trimma
