#include "measure/compare.h"

#include <algorithm>

#include "base/stats_json.h"
#include "gguf/vocabulary.h"

namespace trimma {
namespace {

bool InOneGroup(const std::vector<std::vector<size_t>>& groups, size_t a, size_t b) {
  const auto holds = [](const std::vector<size_t>& group, size_t model) {
    return std::find(group.begin(), group.end(), model) != group.end();
  };
  return std::any_of(groups.begin(), groups.end(), [&](const std::vector<size_t>& group) {
    return holds(group, a) && holds(group, b);
  });
}

Json ToJson(const PromptAnswers& prompt, const Comparison& comparison) {
  Json answers = Json::array();
  for (const ComparedAnswer& compared : prompt.answers) {
    Json answer = ToJson(compared.answer);
    answer["model"] = comparison.models[compared.model].name;
    answer["parting"] = nullptr;
    if (compared.parting) {
      const Parting& parting = *compared.parting;
      answer["parting"] = {{"from", comparison.models[prompt.answers[0].model].name},
                           {"same", parting.same},
                           {"token", parting.token ? Json(*parting.token) : Json()},
                           {"byte", parting.same ? Json() : Json(parting.byte)},
                           {"common", compared.answer.text.substr(0, parting.byte)},
                           {"theirs", prompt.answers[0].answer.text.substr(parting.byte)},
                           {"here", compared.answer.text.substr(parting.byte)}};
    }
    answers.push_back(std::move(answer));
  }
  return {{"prompt", prompt.prompt}, {"answers", answers}};
}

}  // namespace

std::vector<std::vector<size_t>> VocabularyGroups(const std::vector<const GgufFile*>& files) {
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < files.size(); ++i) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& known) {
      return SameTokens(*files[known[0]], *files[i]);
    });
    if (group == groups.end()) {
      groups.push_back({i});
    } else {
      group->push_back(i);
    }
  }
  return groups;
}

std::vector<PromptAnswers> SideBySide(
    const std::vector<std::string>& prompts,
    const std::vector<std::optional<std::vector<ModelAnswer>>>& answers,
    const std::vector<std::vector<size_t>>& groups) {
  std::vector<PromptAnswers> all;
  for (size_t p = 0; p < prompts.size(); ++p) {
    PromptAnswers one = {prompts[p], {}};
    for (size_t m = 0; m < answers.size(); ++m) {
      if (!answers[m]) continue;
      ComparedAnswer compared = {m, (*answers[m])[p], std::nullopt};
      if (!one.answers.empty()) {
        const ComparedAnswer& first = one.answers[0];
        compared.parting =
            PartingOf(first.answer, compared.answer, InOneGroup(groups, first.model, m));
      }
      one.answers.push_back(std::move(compared));
    }
    all.push_back(std::move(one));
  }
  return all;
}

Json ToJson(const Comparison& comparison) {
  const auto name = [&](size_t model) { return comparison.models[model].name; };
  Json models = Json::array();
  for (const ComparedModel& model : comparison.models) {
    models.push_back({{"name", model.name},
                      {"path", model.path},
                      {"type", model.type},
                      {"file_bytes", model.file_bytes},
                      {"speed", model.speed ? ToJson(*model.speed) : Json()},
                      {"errors", model.errors}});
  }
  Json pairs = Json::array();
  for (const QualityPair& pair : comparison.pairs) {
    const Quality& q = pair.quality;
    pairs.push_back({{"a", name(pair.a)},
                     {"b", name(pair.b)},
                     {"mean_kld", q.mean_kld},
                     {"ci95", {NumberOrNull(q.mean_kld_low), NumberOrNull(q.mean_kld_high)}},
                     {"same_top", q.same_top},
                     {"quality", ToJson(q)}});
  }
  Json ratios = Json::array();
  for (const ModelRatio& ratio : comparison.ratios) {
    ratios.push_back({{"reference", name(ratio.reference)},
                      {"a", name(ratio.a)},
                      {"b", name(ratio.b)},
                      {"ratio", NumberOrNull(ratio.ratio.mean)},
                      {"ci95", {NumberOrNull(ratio.ratio.low), NumberOrNull(ratio.ratio.high)}}});
  }
  Json answers = Json::array();
  for (const PromptAnswers& prompt : comparison.answers)
    answers.push_back(ToJson(prompt, comparison));
  Json texts = Json::array();
  for (const JudgingText& text : comparison.texts) texts.push_back(ToJson(text));
  return {{"models", models},   {"pairs", pairs}, {"ratios", ratios},
          {"answers", answers}, {"texts", texts}, {"notes", comparison.notes}};
}

}  // namespace trimma
