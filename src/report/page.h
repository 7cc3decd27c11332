// The report as one self-contained HTML page: no network, no script needed to read it.
#pragma once

#include <string>

#include "report/record.h"

namespace trimma {

// Every string of the record is escaped; bidirectional controls and other invisible
// characters are made visible. Works from 320 px up, light and dark, and printed.
std::string RenderPage(const OptimizeRecord& record);

// The same in about ten lines for a terminal (no colour codes).
std::string RenderSummary(const OptimizeRecord& record);

}  // namespace trimma
