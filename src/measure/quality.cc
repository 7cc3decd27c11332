#include "measure/quality.h"

#include <algorithm>
#include <limits>

#include "measure/quality_prompts.h"
#include "measure/quality_request.h"

namespace trimma {
namespace {

Json JudgedToJson(const Judged& judged) {
  return {{"path", judged.path}, {"settings", ToJson(judged.settings)}};
}

// One chunk bounds nothing: there an interval has no number.
double OrInfinity(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

Result<Judgement> JudgementFromJson(const Json& json) {
  Judgement judgement;
  for (const Json& item : json.at("qualities")) {
    TRY(Quality quality, QualityFromJson(item));
    judgement.qualities.push_back(std::move(quality));
  }
  for (const Json& item : json.at("ratios")) judgement.ratios.push_back(LossRatioFromJson(item));
  for (const Json& item : json.at("decisions"))
    judgement.decisions.push_back(DecisionFromJson(item));
  judgement.text = JudgingTextFromJson(json.at("text"));
  judgement.forward_seconds = json.at("forward_seconds");
  judgement.scoring_seconds = json.at("scoring_seconds");
  return judgement;
}

}  // namespace

int JudgingChunk(uint32_t trained_context) {
  constexpr uint32_t kUsual = 512;
  return static_cast<int>(trained_context == 0 ? kUsual : std::min(kUsual, trained_context));
}

Json ToJson(const Quality& q) {
  return {{"tokens", q.tokens},
          {"mean_kld", q.mean_kld},
          {"mean_kld_ci95", {q.mean_kld_low, q.mean_kld_high}},
          {"median_kld", q.median_kld},
          {"p99_kld", q.p99_kld},
          {"p999_kld", q.p999_kld},
          {"same_top", q.same_top},
          {"ppl", q.ppl},
          {"reference_ppl", q.reference_ppl},
          {"ppl_ratio", q.ppl_ratio.mean},
          {"ppl_ratio_ci95", {q.ppl_ratio.low, q.ppl_ratio.high}},
          {"chunk", q.chunk},
          {"chunks", q.chunks},
          {"score", q.score},
          {"text", q.text},
          {"samples", {{"mean_kld", q.chunk_klds}}}};
}

Result<Quality> QualityFromJson(const Json& json) {
  try {
    Quality q;
    q.tokens = json.at("tokens");
    q.mean_kld = json.at("mean_kld");
    q.mean_kld_low = json.at("mean_kld_ci95").at(0);
    q.mean_kld_high = OrInfinity(json.at("mean_kld_ci95").at(1));
    q.p99_kld = json.at("p99_kld");
    q.p999_kld = json.at("p999_kld");
    q.same_top = json.at("same_top");
    q.ppl = json.at("ppl");
    q.reference_ppl = json.at("reference_ppl");
    q.chunk = json.at("chunk");
    q.chunks = json.at("chunks");
    q.score = json.at("score");
    q.text = json.at("text");
    // Records of earlier versions don't have these.
    q.median_kld = json.value("median_kld", 0.0);
    if (json.contains("ppl_ratio")) {
      q.ppl_ratio.mean = json["ppl_ratio"];
      q.ppl_ratio.low =
          json.at("ppl_ratio_ci95").at(0).is_null() ? 0 : json["ppl_ratio_ci95"][0].get<double>();
      q.ppl_ratio.high = OrInfinity(json["ppl_ratio_ci95"].at(1));
    }
    if (json.contains("samples"))
      q.chunk_klds = json["samples"].at("mean_kld").get<std::vector<double>>();
    return q;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("a quality record is malformed: ") + e.what(), ""};
  }
}

Result<Judgement> JudgeQuality(const Judged& reference, const std::vector<Judged>& candidates,
                               const QualityOptions& options,
                               const std::function<void(double)>& progress) {
  Json judged = Json::array();
  for (const Judged& candidate : candidates) judged.push_back(JudgedToJson(candidate));
  Json request = ToJson(options);
  request["reference"] = JudgedToJson(reference);
  request["candidates"] = judged;
  const std::optional<std::string> language = UserLanguage();
  request["language"] = language ? Json(*language) : Json();
  TRY(const Json result, RunChild("quality", request, [&](const Json& event) {
        if (progress) progress(event.value("progress", 0.0));
      }));
  try {
    return JudgementFromJson(result);
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInternal, std::string("a judgement is malformed: ") + e.what(), ""};
  }
}

Result<std::vector<Quality>> MeasureQuality(const Judged& reference,
                                            const std::vector<Judged>& candidates,
                                            const QualityOptions& options,
                                            const std::function<void(double)>& progress) {
  TRY(Judgement judgement, JudgeQuality(reference, candidates, options, progress));
  return std::move(judgement.qualities);
}

}  // namespace trimma
