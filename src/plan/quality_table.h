// What quantising cost other models: mean KL divergence from the unquantised model, as measured by
// us and as published. The ground that expected loss stands on; each row says where it is from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimma {

struct KnownModel {
  const char* name;
  const char* architecture;  // general.architecture; "" where it doesn't matter
  double parameters;         // all of them, experts not in use as well
  const char* source;        // where its rows were read
};

struct LossPoint {
  const KnownModel* model;
  const char* recipe;  // "Q4_K_M"
  double mean_kld;     // nats a token
  bool importance;     // rounded with importance data
};

// About 80 rows of 15 models from 26 M to 35 B parameters.
const std::vector<LossPoint>& KnownLosses();

enum class TypeFamily { kK, kIQ, kLegacy };  // Q4_K_M ..., IQ4_XS ..., Q4_0 Q5_1 Q8_0 ...

struct RecipeBits {
  const char* recipe;
  TypeFamily family;
  double bits;  // bits per weight over all of LLaMA 3 8B, from the sizes of the same table
};

// nullptr for a recipe that nothing is known of (the ternary types).
const RecipeBits* FindRecipeBits(std::string_view recipe);
const std::vector<RecipeBits>& AllRecipeBits();

// How much more is lost without importance data: both kinds stand in the LLaMA 3 8B table for
// Q4_K_M (1.11), Q4_K_S (1.35), Q3_K_L (1.19), Q3_K_M (1.21), Q3_K_S (1.14) and Q2_K (1.34).
double WithoutImportance(const RecipeBits& recipe);

}  // namespace trimma
