#include "measure/quality_request.h"

#include <cmath>
#include <limits>

#include "base/stats_json.h"

namespace trimma {
namespace {

template <typename T>
std::optional<T> Optional(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional<T>(json.get<T>());
}

}  // namespace

Json ToJson(const QualityOptions& options) {
  return {{"text_file", OrNull(options.text_file)},
          {"own_text", OrNull(options.own_text)},
          {"prompts_file", OrNull(options.prompts_file)},
          {"chunk", options.chunk},
          {"chunks", options.chunks},
          {"score_all", options.score_all},
          {"last", OrNull(options.last)},
          {"rounds", options.rounds},
          {"generate_seconds", options.generate_seconds},
          {"budget_seconds", options.budget_seconds},
          {"max_kld", OrNull(options.questions.max_kld)},
          {"better", options.questions.better},
          {"precision", OrNull(options.questions.precision)}};
}

QualityOptions QualityOptionsFromJson(const Json& json) {
  QualityOptions options;
  options.text_file = Optional<std::string>(json.at("text_file"));
  options.own_text = Optional<std::string>(json.at("own_text"));
  options.prompts_file = Optional<std::string>(json.at("prompts_file"));
  options.chunk = json.at("chunk");
  options.chunks = json.at("chunks");
  options.score_all = json.at("score_all");
  options.last = Optional<int>(json.at("last"));
  options.rounds = json.at("rounds");
  options.generate_seconds = json.at("generate_seconds");
  options.budget_seconds = json.at("budget_seconds");
  options.questions.max_kld = Optional<double>(json.at("max_kld"));
  options.questions.better = json.at("better");
  options.questions.precision = Optional<double>(json.at("precision"));
  return options;
}

Json ToJson(const LossRatio& ratio) {
  return {{"a", ratio.a},
          {"b", ratio.b},
          {"ratio", ratio.ratio.mean},
          {"ci95", {ratio.ratio.low, ratio.ratio.high}}};
}

LossRatio LossRatioFromJson(const Json& json) {
  return {json.at("a"),
          json.at("b"),
          {NumberOrInfinity(json.at("ratio")), NumberOrInfinity(json.at("ci95").at(0)),
           NumberOrInfinity(json.at("ci95").at(1))}};
}

}  // namespace trimma
