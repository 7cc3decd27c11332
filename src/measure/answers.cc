#include "measure/answers.h"

#include <algorithm>

namespace trimma {
namespace {

// Inside a character of several bytes, all but the first begin with 10.
bool ContinuesCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; }

}  // namespace

Json ToJson(const ModelAnswer& answer) {
  return {{"tokens", answer.tokens},
          {"text", answer.text},
          {"ended", answer.ended},
          {"templated", answer.templated},
          {"prompt_tokens", answer.prompt_tokens},
          {"seconds", answer.seconds}};
}

ModelAnswer AnswerFromJson(const Json& json) {
  ModelAnswer answer;
  answer.tokens = json.at("tokens").get<std::vector<int32_t>>();
  answer.text = json.at("text");
  answer.ended = json.at("ended");
  answer.templated = json.at("templated");
  answer.prompt_tokens = json.at("prompt_tokens");
  answer.seconds = json.at("seconds");
  return answer;
}

Result<std::vector<ModelAnswer>> AnswerPrompts(const Judged& model,
                                               const std::vector<std::string>& prompts,
                                               int most_tokens,
                                               const std::function<void(double)>& progress) {
  const Json request = {{"path", model.path},
                        {"settings", ToJson(model.settings)},
                        {"prompts", prompts},
                        {"most_tokens", most_tokens}};
  TRY(const Json result, RunChild("answers", request, [&](const Json& event) {
        if (progress) progress(event.value("progress", 0.0));
      }));
  std::vector<ModelAnswer> answers;
  for (const Json& item : result.at("answers")) answers.push_back(AnswerFromJson(item));
  return answers;
}

Parting PartingOf(const ModelAnswer& a, const ModelAnswer& b, bool same_vocabulary) {
  Parting parting;
  const auto text = std::mismatch(a.text.begin(), a.text.end(), b.text.begin(), b.text.end());
  parting.byte = static_cast<size_t>(text.first - a.text.begin());
  const auto splits = [&](const std::string& s) {
    return parting.byte < s.size() && ContinuesCharacter(s[parting.byte]);
  };
  while (parting.byte > 0 && (splits(a.text) || splits(b.text))) --parting.byte;
  if (!same_vocabulary) {
    parting.same = a.text == b.text && a.ended == b.ended;
    return parting;
  }
  const auto token =
      std::mismatch(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
  parting.same = a.tokens == b.tokens && a.ended == b.ended;
  if (!parting.same) parting.token = static_cast<int>(token.first - a.tokens.begin());
  return parting;
}

}  // namespace trimma
