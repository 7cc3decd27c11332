// What was found, in the words of an optimisation's record (pure).
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"
#include "report/record.h"
#include "tune/tune.h"

namespace trimma {

// A phase that a setting can't change wasn't measured: the default's figures stand for it.
TuneTrial ToTrial(const TuneTrialResult& trial, const Speed& defaults);

// The cells of a type on the recommended devices.
std::vector<MemoryRow> MemoryRowsOf(const Plan& plan, const std::string& type);

}  // namespace trimma
