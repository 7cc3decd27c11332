#include "llama_server/answer.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "net/json.h"

namespace trimma {
namespace {

Error Nonsense(const char* what) {
  return {Code::kInvalid, fmt::format("llama-server's answer is not what one answers: {}", what),
          "see that --llama-server names a llama-server"};
}

// A finite, non-negative number.
std::optional<double> Milliseconds(const nlohmann::json& object, const char* key) {
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number()) return std::nullopt;
  const auto value = field->get<double>();
  return std::isfinite(value) && value >= 0 ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<double> ServedAnswer::PrefillRate() const {
  if (prompt_tokens < 1 || prompt_ms <= 0) return std::nullopt;
  return 1000 * static_cast<double>(prompt_tokens) / prompt_ms;
}

std::optional<double> ServedAnswer::DecodeRate() const {
  if (answer_tokens < 2 || answer_ms <= 0) return std::nullopt;
  return 1000 * static_cast<double>(answer_tokens - 1) / answer_ms;
}

Result<ServedAnswer> ParseCompletion(const nlohmann::json& json) {
  if (!json.is_object()) return Nonsense("no JSON object");
  ServedAnswer answer;
  const auto text = TextOf(json, "content");
  if (!text) return Nonsense("no content");
  answer.text = *text;
  const auto timings = json.find("timings");
  if (timings == json.end() || !timings->is_object()) return Nonsense("no timings");
  const auto prompt_tokens = CountOf(*timings, "prompt_n");
  const auto prompt_ms = Milliseconds(*timings, "prompt_ms");
  const auto answer_tokens = CountOf(*timings, "predicted_n");
  const auto answer_ms = Milliseconds(*timings, "predicted_ms");
  if (!prompt_tokens || !prompt_ms || !answer_tokens || !answer_ms)
    return Nonsense("timings without their figures");
  answer.prompt_tokens = static_cast<int64_t>(*prompt_tokens);
  answer.prompt_ms = *prompt_ms;
  answer.answer_tokens = static_cast<int64_t>(*answer_tokens);
  answer.answer_ms = *answer_ms;
  answer.drafted = static_cast<int64_t>(CountOf(*timings, "draft_n").value_or(0));
  answer.accepted = static_cast<int64_t>(CountOf(*timings, "draft_n_accepted").value_or(0));
  const auto tokens = json.find("tokens");
  if (tokens != json.end() && tokens->is_array()) {
    for (const nlohmann::json& token : *tokens) {
      if (!token.is_number_integer()) return Nonsense("tokens that are no numbers");
      answer.tokens.push_back(token.get<int32_t>());
    }
  }
  // "eos", "word", "limit"; before there was one, a flag each.
  const auto stop = TextOf(json, "stop_type");
  const auto eos = json.find("stopped_eos");
  answer.ended = stop ? *stop == "eos" || *stop == "word"
                      : eos != json.end() && eos->is_boolean() && eos->get<bool>();
  return answer;
}

Error ServerRefused(int status, const std::string& body) {
  const auto json = ParseForeignJson(body, "the refusal");
  std::string sentence;
  if (json.ok() && json->is_object()) {
    const auto error = json->find("error");
    if (error != json->end() && error->is_object())
      sentence = TextOf(*error, "message").value_or("");
    if (error != json->end() && error->is_string()) sentence = error->get<std::string>();
  }
  if (sentence.empty()) sentence = fmt::format("status {}", status);
  return {Code::kFailure, "llama-server says: " + SafeText(sentence, 300), ""};
}

}  // namespace trimma
