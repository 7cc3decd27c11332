// What a measurement of quality says: as text, as JSON, and as a status.
#pragma once

#include <string>
#include <vector>

#include "base/child.h"
#include "measure/quality.h"

namespace trimma {

// A judgement with the names under which its candidates are shown.
struct NamedJudgement {
  Judgement judgement;
  std::vector<std::string> names;  // of the candidates
};

std::string Describe(const Quality& quality);
// Of several candidates a table, and how they compare; then what was asked, and the text.
std::string Describe(const NamedJudgement& named, const Questions& questions);

// Fields besides the qualities: "ratios", "decisions", "text", "seconds"; candidates by name.
Json JudgementFields(const NamedJudgement& named);

// kGate where a limit on the loss isn't shown to hold, kInvalid where the text (or the time) was
// too short for the precision asked, with how much more it takes.
Status StatusOf(const NamedJudgement& named, const Questions& questions);

// "5%" or "0.05"; kUsage unless it is between 0 and 1.
Result<double> ParseShare(const std::string& text);

}  // namespace trimma
