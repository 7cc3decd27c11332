// The figures before and after, row by row, as text: the page and the terminal show the same.
#pragma once

#include <string>
#include <vector>

#include "report/record.h"

namespace trimma {

struct ComparedFigure {
  std::string text;
  std::string interval;  // "" where the figure has none
};

struct ComparisonRow {
  std::string name;         // "Decode"
  std::string explanation;  // half a sentence for a reader who doesn't know the term
  ComparedFigure before, after;
  std::string change;  // "-63 %", "no difference", ""
  bool brief = false;  // also in the terminal's summary
};

std::vector<ComparisonRow> CompareOutcomes(const OptimizeRecord& record);

}  // namespace trimma
