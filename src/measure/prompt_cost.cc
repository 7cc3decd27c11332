#include "measure/prompt_cost.h"

#include "base/stats_json.h"

namespace trimma {
namespace {

// The contract's numbers are medians; their intervals stand beside them, as with mean_kld.
Json CostToJson(const PromptCost& cost) {
  Json repeats = Json::array();
  for (const Repeat& r : cost.repeats) {
    repeats.push_back({{"line", r.line},
                       {"first_line", r.first_line},
                       {"exact", r.exact},
                       {"resemblance", r.resemblance},
                       {"tokens", r.tokens},
                       {"text", r.text}});
  }
  return {{"tokens", cost.tokens},
          {"text_tokens", cost.text_tokens},
          {"question_tokens", cost.question_tokens},
          {"kv_bytes", cost.kv_bytes},
          {"ttft_cold_ms", cost.cold_ms.median},
          {"ttft_cold_ms_ci95", Interval95(cost.cold_ms)},
          {"ttft_warm_ms", cost.warm_ms.median},
          {"ttft_warm_ms_ci95", Interval95(cost.warm_ms)},
          {"restore_ms", ToJson(cost.restore_ms)},
          {"rounds", cost.cold_ms.n},
          {"samples", {{"ttft_cold_ms", cost.cold_samples}, {"ttft_warm_ms", cost.warm_samples}}},
          {"repeats", repeats}};
}

PromptCost CostFromJson(const Json& json) {
  PromptCost cost;
  cost.tokens = json.at("tokens");
  cost.text_tokens = json.at("text_tokens");
  cost.question_tokens = json.at("question_tokens");
  cost.kv_bytes = json.at("kv_bytes");
  cost.restore_ms = SpreadFromJson(json.at("restore_ms"));
  cost.cold_samples = json.at("samples").at("ttft_cold_ms").get<std::vector<double>>();
  cost.warm_samples = json.at("samples").at("ttft_warm_ms").get<std::vector<double>>();
  cost.cold_ms = MedianSpread(cost.cold_samples);
  cost.warm_ms = MedianSpread(cost.warm_samples);
  for (const Json& r : json.at("repeats")) {
    cost.repeats.push_back({r.at("line"), r.at("first_line"), r.at("exact"), r.at("resemblance"),
                            r.at("tokens"), r.at("text")});
  }
  return cost;
}

Json ChangeToJson(const PromptChange& change) {
  Json answers = Json::array();
  for (const PromptAnswer& a : change.answers) {
    answers.push_back({{"question", a.question},
                       {"answer", a.answer},
                       {"shorter_answer", a.shorter_answer},
                       {"same", a.same},
                       {"same_tokens", a.same_tokens},
                       {"tokens", a.tokens},
                       {"mean_kld", a.mean_kld}});
  }
  return {{"tokens", change.tokens},
          {"mean_kld", change.mean_kld},
          {"mean_kld_ci95",
           change.interval ? Json{change.interval->low, change.interval->high} : Json()},
          {"p99_kld", change.p99_kld},
          {"same_top", change.same_top},
          {"answers_same", change.answers_same},
          {"answers", answers}};
}

PromptChange ChangeFromJson(const Json& json) {
  PromptChange change;
  change.tokens = json.at("tokens");
  change.mean_kld = json.at("mean_kld");
  const Json& interval = json.at("mean_kld_ci95");
  if (!interval.is_null())
    change.interval = MeanInterval{change.mean_kld, interval.at(0), interval.at(1)};
  change.p99_kld = json.at("p99_kld");
  change.same_top = json.at("same_top");
  change.answers_same = json.at("answers_same");
  for (const Json& a : json.at("answers")) {
    change.answers.push_back({a.at("question"), a.at("answer"), a.at("shorter_answer"),
                              a.at("same"), a.at("same_tokens"), a.at("tokens"), a.at("mean_kld")});
  }
  return change;
}

}  // namespace

Json ToJson(const PromptReport& report) {
  Json json = CostToJson(report.prompt);
  json["system_role"] = report.system_role;
  json["load_ms"] = ToJson(report.load_ms);
  json["decode_ms"] = ToJson(report.decode_ms);
  json["trained_context"] = report.trained_context;
  json["shorter"] = report.shorter ? CostToJson(*report.shorter) : Json();
  json["change"] = report.change ? ChangeToJson(*report.change) : Json();
  return json;
}

Result<PromptReport> PromptReportFromJson(const Json& json) {
  try {
    PromptReport report;
    report.prompt = CostFromJson(json);
    report.system_role = json.at("system_role");
    report.load_ms = SpreadFromJson(json.at("load_ms"));
    report.decode_ms = SpreadFromJson(json.at("decode_ms"));
    report.trained_context = json.at("trained_context");
    if (!json.at("shorter").is_null()) report.shorter = CostFromJson(json["shorter"]);
    if (!json.at("change").is_null()) report.change = ChangeFromJson(json["change"]);
    return report;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("a prompt's figures are malformed: ") + e.what(), ""};
  }
}

Result<PromptReport> MeasurePrompt(const PromptQuestion& question,
                                   const std::function<void(double)>& progress) {
  Json prompts = Json::array({question.prompt});
  if (question.shorter) prompts.push_back(*question.shorter);
  const Json request = {{"path", question.path},
                        {"settings", ToJson(question.settings)},
                        {"prompts", prompts},
                        {"questions", question.questions},
                        {"answer_tokens", question.answer_tokens},
                        {"rounds", question.rounds},
                        {"budget_seconds", question.budget_seconds}};
  TRY(const Json result, RunChild("prompt", request, [&](const Json& event) {
        if (progress) progress(event.value("progress", 0.0));
      }));
  return PromptReportFromJson(result);
}

}  // namespace trimma
