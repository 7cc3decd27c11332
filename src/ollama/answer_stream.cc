#include "ollama/answer_stream.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/text.h"
#include "ollama/errors.h"

namespace trimma {
namespace {

double Seconds(const Json& json, const char* key) {
  const auto field = json.find(key);
  return field != json.end() && field->is_number() ? field->get<double>() / 1e9 : 0;
}

int64_t Count(const Json& json, const char* key) {
  const auto field = json.find(key);
  return field != json.end() && field->is_number_integer() ? field->get<int64_t>() : 0;
}

// Of an answer's last line.
void ReadFigures(const Json& line, OllamaAnswer& answer) {
  constexpr size_t kMostReason = 40;
  const auto reason = line.find("done_reason");
  if (reason != line.end() && reason->is_string())
    answer.done_reason = SafeText(reason->get<std::string>(), kMostReason);
  answer.prompt_tokens = Count(line, "prompt_eval_count");
  answer.answer_tokens = Count(line, "eval_count");
  answer.load_s = Seconds(line, "load_duration");
  answer.prompt_s = Seconds(line, "prompt_eval_duration");
  answer.answer_s = Seconds(line, "eval_duration");
}

}  // namespace

Status ErrorInLine(const Json& line, const std::string& version) {
  const auto error = line.find("error");
  if (error == line.end()) return {};
  const std::string text = error->is_string() ? error->get<std::string>() : error->dump();
  return OllamaSaid(500, text, version);
}

AnswerStream::AnswerStream(AnswerWish wish)
    : wish_(std::move(wish)), start_(std::chrono::steady_clock::now()) {}

double AnswerStream::Since() const { return SecondsSince(start_); }

void AnswerStream::TakePiece(const Json& from, const char* key, std::string& to) {
  const auto piece = from.find(key);
  if (piece == from.end() || !piece->is_string()) return;
  const auto& words = piece->get_ref<const std::string&>();
  if (words.empty()) return;
  answer_.last_text_s = Since();
  if (++answer_.pieces == 1) answer_.first_text_s = answer_.last_text_s;
  if (wish_.on_text) wish_.on_text(words);
  to += words;
}

Status AnswerStream::Take(std::string_view line, const std::string& version) {
  TRY(const Json json, ParseAnswer(line));
  if (!json.is_object())
    return Error{Code::kInvalid, "the server's answer is not what Ollama answers", ""};
  TRY_STATUS(ErrorInLine(json, version));
  // /api/chat has the same in an object of its own.
  const auto message = json.find("message");
  const Json& from = message != json.end() && message->is_object() ? *message : json;
  TakePiece(from, "thinking", answer_.thinking);
  TakePiece(from, &from == &json ? "response" : "content", answer_.text);
  done_ = json.contains("done") && json["done"].is_boolean() && json["done"].get<bool>();
  if (done_) ReadFigures(json, answer_);
  cut_ = !done_ && wish_.most_seconds && Since() > *wish_.most_seconds;
  return cut_ ? Status(Error{Code::kFailure, "cut", ""}) : Status();
}

Result<OllamaAnswer> AnswerStream::Finish(const Status& ended) {
  const bool cut = cut_ || (wish_.deadline_s && Since() >= *wish_.deadline_s &&
                            (ended.ok() || ended.error().code == Code::kNetwork));
  if (!ended.ok() && !cut) return ended.error();
  if (!done_ && !cut && !wish_.most_seconds) {
    return Error{
        Code::kNetwork,
        fmt::format("Ollama broke off in the middle of an answer of {}", SafeText(wish_.model)),
        "look at its log"};
  }
  if (!done_) answer_.done_reason = "cut";
  answer_.total_s = Since();
  return std::move(answer_);
}

}  // namespace trimma
