#include "measure/quality.h"

#include <algorithm>

namespace trimma {
namespace {

Json JudgedToJson(const Judged& judged) {
  return {{"path", judged.path}, {"settings", ToJson(judged.settings)}};
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
          {"p99_kld", q.p99_kld},
          {"p999_kld", q.p999_kld},
          {"same_top", q.same_top},
          {"ppl", q.ppl},
          {"reference_ppl", q.reference_ppl},
          {"chunk", q.chunk},
          {"chunks", q.chunks},
          {"score", q.score},
          {"text", q.text}};
}

Result<Quality> QualityFromJson(const Json& json) {
  try {
    Quality q;
    q.tokens = json.at("tokens");
    q.mean_kld = json.at("mean_kld");
    q.mean_kld_low = json.at("mean_kld_ci95").at(0);
    q.mean_kld_high = json.at("mean_kld_ci95").at(1);
    q.p99_kld = json.at("p99_kld");
    q.p999_kld = json.at("p999_kld");
    q.same_top = json.at("same_top");
    q.ppl = json.at("ppl");
    q.reference_ppl = json.at("reference_ppl");
    q.chunk = json.at("chunk");
    q.chunks = json.at("chunks");
    q.score = json.at("score");
    q.text = json.at("text");
    return q;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("a quality record is malformed: ") + e.what(), ""};
  }
}

Result<std::vector<Quality>> MeasureQuality(const Judged& reference,
                                            const std::vector<Judged>& candidates,
                                            const QualityOptions& options,
                                            const std::function<void(double)>& progress) {
  Json judged = Json::array();
  for (const Judged& candidate : candidates) judged.push_back(JudgedToJson(candidate));
  const Json request = {{"reference", JudgedToJson(reference)},
                        {"candidates", judged},
                        {"text_file", options.text_file ? Json(*options.text_file) : Json()},
                        {"own_text", options.own_text ? Json(*options.own_text) : Json()},
                        {"chunk", options.chunk},
                        {"chunks", options.chunks},
                        {"score_all", options.score_all},
                        {"generate_seconds", options.generate_seconds},
                        {"budget_seconds", options.budget_seconds}};
  TRY(const Json result, RunChild("quality", request, [&](const Json& event) {
        if (progress) progress(event.value("progress", 0.0));
      }));
  std::vector<Quality> qualities;
  for (const Json& item : result.at("qualities")) {
    TRY(Quality quality, QualityFromJson(item));
    qualities.push_back(std::move(quality));
  }
  return qualities;
}

}  // namespace trimma
