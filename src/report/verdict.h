// What changed, said carefully: a difference only where the measurements show one.
#pragma once

#include <optional>
#include <string>

#include "report/record.h"

namespace trimma {

enum class Change { kFaster, kSlower, kNoDifference };
enum class Better { kHigher, kLower };  // rates: higher; times: lower

const char* NameOf(Change change);  // "faster", "slower", "no difference"

// Faster or slower only where the two intervals don't overlap (touching is overlapping);
// nullopt if either was not measured.
std::optional<Change> Compare(const Spread& before, const Spread& after, Better better);

// "+64 %", "-0.4 %", "unchanged"; from tenfold on "12x"; "" if either is unknown.
std::string PercentChange(double before, double after);

// "+64 %, faster", "no difference", "not measured".
std::string ChangeText(const Spread& before, const Spread& after, Better better);

// Name for headings: the file's own, or else what the user typed. Foreign text.
std::string TitleOf(const OptimizeRecord& record);

// One sentence: what became of size, speed and quality. Plain text.
std::string VerdictOn(const OptimizeRecord& record);

}  // namespace trimma
