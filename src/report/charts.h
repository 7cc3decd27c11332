// The charts of the page: static inline SVG, each in a <figure> with a caption and a
// description. A chart without figures to show is "". The tables beside them hold the numbers.
#pragma once

#include <string>
#include <vector>

#include "report/record.h"

namespace trimma {

// Two panels over file size: mean KL divergence (logarithmic, with 95 % intervals; a
// divergence of zero stands in a strip of its own) and decode speed. Either may be absent.
std::string TradeOffCharts(const std::vector<PlotPoint>& points);

// Prefill, decode and time to first token, before and after, with intervals.
std::string SpeedCharts(const Speed& before, const Speed& after);

// Weights, KV cache and work buffers stacked, a row for each context and KV-cache type.
std::string MemoryChart(const std::vector<MemoryRow>& rows);

// One bar of all steps; the number in a segment is its row in the table.
std::string TimeChart(const std::vector<Step>& steps);

}  // namespace trimma
