// A race that goes on in another process (pure).
//
// What a process got (memory, places of its threads) changes a setting's speed by a few percent for
// as long as that process lives, and no number of samples in it tells (docs/measuring.md). So
// whoever isn't decided is raced in several.
#pragma once

#include <cstddef>
#include <vector>

#include "tune/combine.h"

namespace trimma {

// It wasn't eliminated, and may be faster by more than is felt.
bool IsUndecided(const TuneTrialResult& trial);
// Their places, those that may gain most first.
std::vector<size_t> UndecidedOf(const std::vector<TuneTrialResult>& trials);

// `before` with what another process says of it: all gains judged together, the newer speed.
TuneTrialResult Pooled(const TuneTrialResult& before, const SpeedTrial& more);

// Each of `all` that is among `newer`, as it is there.
void Renew(std::vector<TuneTrialResult>& all, const std::vector<TuneTrialResult>& newer);

}  // namespace trimma
