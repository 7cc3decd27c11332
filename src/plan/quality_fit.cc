#include "plan/quality_fit.h"

#include <algorithm>
#include <cmath>

namespace trimma {
namespace {

constexpr double kReferenceParameters = 8e9;
// Rounds of fitting levels and effects in turn; the change in the 20th is below 1e-4.
constexpr int kRounds = 100;
// Below the smallest published model the trend is not followed: our own 26 M model, trained on
// manual pages only, would bend it.
constexpr double kSmallestTrend = 200e6;

double Size(double parameters) {
  return std::log(std::max(parameters, kSmallestTrend) / kReferenceParameters);
}

// ln(mean KLD), as it would be with importance data.
double LogLoss(const LossPoint& point) {
  const RecipeBits* bits = FindRecipeBits(point.recipe);
  const double factor = point.importance || bits == nullptr ? 1 : WithoutImportance(*bits);
  return std::log(point.mean_kld / factor);
}

// Means of what the other side leaves unexplained, in turn.
void FitLevelsAndEffects(const std::vector<LossPoint>& points, LossFit& fit) {
  for (int round = 0; round < kRounds; ++round) {
    std::map<std::string, std::vector<double>> by_recipe;
    for (const LossPoint& p : points)
      by_recipe[p.recipe].push_back(LogLoss(p) - fit.effect[p.model->name]);
    for (const auto& [recipe, rest] : by_recipe) {
      double sum = 0;
      for (const double r : rest) sum += r;
      fit.level[recipe] = sum / static_cast<double>(rest.size());
    }
    std::map<std::string, std::vector<double>> by_model;
    for (const LossPoint& p : points)
      by_model[p.model->name].push_back(LogLoss(p) - fit.level[p.recipe]);
    for (const auto& [model, rest] : by_model) {
      double sum = 0;
      for (const double r : rest) sum += r;
      fit.effect[model] = sum / static_cast<double>(rest.size());
    }
  }
}

// A line through the effects over size; what it explains goes into slope and levels.
void FitSlope(const std::vector<LossPoint>& points, LossFit& fit) {
  std::map<std::string, double> size;
  for (const LossPoint& p : points) {
    if (p.model->parameters >= kSmallestTrend) size[p.model->name] = Size(p.model->parameters);
  }
  const auto n = static_cast<double>(size.size());
  double mean_x = 0;
  double mean_y = 0;
  for (const auto& [model, x] : size) {
    mean_x += x / n;
    mean_y += fit.effect[model] / n;
  }
  double xy = 0;
  double xx = 0;
  for (const auto& [model, x] : size) {
    xy += (x - mean_x) * (fit.effect[model] - mean_y);
    xx += (x - mean_x) * (x - mean_x);
  }
  fit.slope = xx > 0 ? xy / xx : 0;
  const double at_reference = mean_y - fit.slope * mean_x;
  for (auto& [recipe, level] : fit.level) level += at_reference;
  double squares = 0;
  for (const LossPoint& p : points) size[p.model->name] = Size(p.model->parameters);
  for (auto& [model, effect] : fit.effect) {
    effect -= at_reference + fit.slope * size[model];
    squares += effect * effect;
  }
  const double freedom = static_cast<double>(fit.effect.size()) - 2;
  fit.model_sd = freedom > 0 ? std::sqrt(squares / freedom) : 0;
}

std::optional<double> OffTheLadder(const LossFit& fit, const RecipeBits& wanted) {
  // Neighbours of the family below and above; Q8_0 is the top of every family's ladder.
  const RecipeBits* below = nullptr;
  const RecipeBits* above = nullptr;
  for (const RecipeBits& r : AllRecipeBits()) {
    const bool top = std::string(r.recipe) == "Q8_0";
    if ((r.family != wanted.family && !top) || !fit.level.contains(r.recipe)) continue;
    if (r.bits <= wanted.bits && (below == nullptr || r.bits > below->bits)) below = &r;
    if (r.bits >= wanted.bits && (above == nullptr || r.bits < above->bits)) above = &r;
  }
  if (above == nullptr) return std::nullopt;
  if (below ==
      nullptr) {  // beyond the last rung: two e-folds a bit, the slope of the ladders' ends
    return fit.level.at(above->recipe) + 2 * (above->bits - wanted.bits);
  }
  const double low = fit.level.at(below->recipe);
  const double high = fit.level.at(above->recipe);
  if (above->bits == below->bits) return (low + high) / 2;
  return low + (high - low) * (wanted.bits - below->bits) / (above->bits - below->bits);
}

}  // namespace

LossFit FitLosses(const std::vector<LossPoint>& points) {
  LossFit fit;
  FitLevelsAndEffects(points, fit);
  double squares = 0;
  for (const LossPoint& p : points) {
    const double rest = LogLoss(p) - fit.level[p.recipe] - fit.effect[p.model->name];
    squares += rest * rest;
  }
  const double freedom = static_cast<double>(points.size()) -
                         static_cast<double>(fit.level.size() + fit.effect.size()) + 1;
  fit.type_sd = freedom > 0 ? std::sqrt(squares / freedom) : 0;
  FitSlope(points, fit);
  return fit;
}

const LossFit& KnownLossFit() {
  static const LossFit fit = FitLosses(KnownLosses());
  return fit;
}

std::optional<double> LossFit::Expected(const std::string& recipe, double parameters,
                                        bool importance) const {
  const RecipeBits* bits = FindRecipeBits(recipe);
  if (bits == nullptr) return std::nullopt;
  const auto own = level.find(recipe);
  const std::optional<double> ln = own != level.end() ? own->second : OffTheLadder(*this, *bits);
  if (!ln) return std::nullopt;
  return *ln + slope * Size(parameters) + (importance ? 0 : std::log(WithoutImportance(*bits)));
}

double LossFit::unknown_sd() const {
  // The line that the new model is set off from is itself known from so many models only.
  const double models = std::max<double>(static_cast<double>(effect.size()), 1);
  return std::hypot(model_sd * std::sqrt(1 + 1 / models), type_sd);
}

Estimate FromLog(double ln_kld, double sd) {
  constexpr double k90 = 1.75;  // Student's t, 15 degrees of freedom
  return {std::exp(ln_kld), std::exp(ln_kld - k90 * sd), std::exp(ln_kld + k90 * sd), false};
}

}  // namespace trimma
