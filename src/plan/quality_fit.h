// From known losses to an expectation for a model that was never quantised.
//
//   ln(mean KLD) = level(recipe) + slope * ln(parameters / 8e9) + effect(model)
//
// fitted to the known losses by least squares. Models of one size differ by far more (LFM2.5 350M
// and Qwen3.5 27B lie a factor of 10 apart after their size is allowed for) than one model's types
// differ from the common ladder (about 30 %), so sizes share one slope instead of each type being
// interpolated through the two or three models that happen to be near; and one measurement of a
// model, which gives away its effect, makes all its other types predictable.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan/estimate.h"
#include "plan/quality_table.h"

namespace trimma {

struct LossFit {
  std::map<std::string, double> level;   // of a recipe with importance data, for 8e9 parameters
  std::map<std::string, double> effect;  // of each known model, by name
  double slope = 0;                      // per ln(parameters)
  double model_sd = 0;                   // between models, in ln
  double type_sd = 0;                    // between the types of one model, in ln

  // Of one type of a model that nothing is known of, in ln.
  double unknown_sd() const;

  // ln(mean KLD) of a model without an effect of its own. A recipe that no row has is read off its
  // family's ladder, linear in bits per weight. nullopt where that isn't possible.
  std::optional<double> Expected(const std::string& recipe, double parameters,
                                 bool importance) const;
};

LossFit FitLosses(const std::vector<LossPoint>& points);

// Of all known losses; computed once.
const LossFit& KnownLossFit();

// exp(ln_kld) within 90 % for a standard deviation of `sd` in ln, itself known from 15 models.
Estimate FromLog(double ln_kld, double sd);

}  // namespace trimma
