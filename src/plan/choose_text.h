// Choices in words that a beginner knows.
#pragma once

#include <string>

#include "plan/choosing.h"

namespace trimma {

std::string Room(uint32_t context);              // "32 768 tokens (about 24 000 words)"
std::string LossFigure(const Estimate& loss);    // "0.011", two significant digits
std::string TypeAndCache(const PlanCell& cell);  // "Q4_K_M", "Q4_K_M with its cache in q8_0"

std::string ReasonFor(const Question& q, const PlanCell& chosen);
// What `other` has more of than `chosen`, and what that costs.
std::string Beside(const Question& q, const PlanCell& other, const PlanCell& chosen);

}  // namespace trimma
