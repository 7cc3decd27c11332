#include "measure/quality.h"

#include <algorithm>
#include <limits>

#include "base/stats_json.h"
#include "engine/engine.h"
#include "measure/quality_prompts.h"
#include "measure/quality_request.h"

namespace trimma {
namespace {

Json JudgedToJson(const Judged& judged) {
  return {{"path", judged.path}, {"settings", ToJson(judged.settings)}};
}

LeftCards LeftCardsNamed(const std::string& name) {
  if (name == NameOf(LeftCards::kReference)) return LeftCards::kReference;
  return name == NameOf(LeftCards::kAll) ? LeftCards::kAll : LeftCards::kNone;
}

Judged OnHost(Judged judged) {
  judged.settings.use_gpu = false;
  return judged;
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

const char* NameOf(LeftCards left) {
  switch (left) {
    case LeftCards::kNone:
      return "none";
    case LeftCards::kReference:
      return "reference";
    case LeftCards::kAll:
      return "all";
  }
  CHECK(false);
  return "";
}

const char* HostWords(LeftCards left) {
  switch (left) {
    case LeftCards::kNone:
      return "";
    case LeftCards::kReference:
      return "the reference on the host, the cards had no room for both";
    case LeftCards::kAll:
      return "on the host, the cards had no room";
  }
  CHECK(false);
  return "";
}

bool IsSameOnHost(const Judged& a, const Judged& b) {
  const RuntimeSettings& s = a.settings;
  const RuntimeSettings& t = b.settings;
  return a.path == b.path && s.kv_k == t.kv_k && s.kv_v == t.kv_v &&
         s.flash_attention == t.flash_attention && s.ubatch == t.ubatch && s.repack == t.repack;
}

std::optional<LeftCards> NextOffCards(LeftCards left, const Judged& reference,
                                      const std::vector<Judged>& candidates) {
  const auto on_card = [](const Judged& judged) {
    return judged.settings.use_gpu && judged.settings.gpu_layers != 0;
  };
  const auto is_reference = [&](const Judged& judged) { return judged.path == reference.path; };
  const bool others = std::none_of(candidates.begin(), candidates.end(), is_reference);
  if (left == LeftCards::kNone && on_card(reference) && others) return LeftCards::kReference;
  const auto is_same = [&](const Judged& judged) { return IsSameOnHost(reference, judged); };
  if (std::all_of(candidates.begin(), candidates.end(), is_same)) return std::nullopt;
  const bool some =
      on_card(reference) || std::any_of(candidates.begin(), candidates.end(), on_card);
  if (left != LeftCards::kAll && some) return LeftCards::kAll;
  return std::nullopt;
}

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
          {"on_host", NameOf(q.left_cards)},
          {"samples", {{"mean_kld", q.chunk_klds}}}};
}

Result<Quality> QualityFromJson(const Json& json) {
  try {
    Quality q;
    q.tokens = json.at("tokens");
    q.mean_kld = json.at("mean_kld");
    q.mean_kld_low = json.at("mean_kld_ci95").at(0);
    q.mean_kld_high = NumberOrInfinity(json.at("mean_kld_ci95").at(1));
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
      q.ppl_ratio.high = NumberOrInfinity(json["ppl_ratio_ci95"].at(1));
    }
    q.left_cards = LeftCardsNamed(json.value("on_host", "none"));
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
  Json request = ToJson(options);
  const std::optional<std::string> language = UserLanguage();
  request["language"] = language ? Json(*language) : Json();
  LeftCards left = LeftCards::kNone;
  double furthest = 0;
  while (true) {
    request["reference"] = JudgedToJson(left == LeftCards::kNone ? reference : OnHost(reference));
    request["candidates"] = Json::array();
    for (const Judged& candidate : candidates) {
      request["candidates"].push_back(
          JudgedToJson(left == LeftCards::kAll ? OnHost(candidate) : candidate));
    }
    const auto result = RunChild("quality", request, [&](const Json& event) {
      furthest = std::max(furthest, event.value("progress", 0.0));
      if (progress) progress(furthest);
    });
    if (!result.ok()) {
      const auto next = options.may_leave_cards && HasGpuBackends()
                            ? NextOffCards(left, reference, candidates)
                            : std::nullopt;
      if (result.error().code != Code::kNoFit || !next) return result.error();
      left = *next;
      continue;
    }
    try {
      auto judgement = JudgementFromJson(*result);
      if (!judgement.ok()) return judgement;
      for (Quality& quality : judgement->qualities) quality.left_cards = left;
      return judgement;
    } catch (const nlohmann::json::exception& e) {
      return Error{Code::kInternal, std::string("a judgement is malformed: ") + e.what(), ""};
    }
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
