// The child's side of answers: one model, prompt after prompt.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/clock.h"
#include "base/interrupt.h"
#include "engine/chat.h"
#include "engine/greedy.h"
#include "engine/model.h"
#include "measure/answers.h"

namespace trimma {
namespace {

// A character whose bytes the last token begins and none ends is left out.
std::string WholeCharacters(std::string text) {
  size_t begin = text.size();
  while (begin > 0 && begin + 4 > text.size() &&
         (static_cast<unsigned char>(text[begin - 1]) & 0xC0U) == 0x80)
    --begin;
  if (begin == 0) return text;
  const auto lead = static_cast<unsigned char>(text[begin - 1]);
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (text.size() - (begin - 1) < bytes) text.resize(begin - 1);
  return text;
}

struct Question {
  std::vector<Token> tokens;
  bool templated = false;
};

Question Ask(const Model& model, const std::string& prompt) {
  if (auto chat = ChatWith(model, prompt)) return {std::move(chat->opening), true};
  return {model.Tokenize(prompt, /*add_special=*/true), false};
}

struct Limits {
  size_t batch = 0;
  int most_tokens = 0;
  std::function<void()> alive;  // called before every evaluation
};

Result<ModelAnswer> AnswerOne(const Model& model, Context& context, const Question& question,
                              const Limits& limits) {
  const auto start = std::chrono::steady_clock::now();
  ModelAnswer answer;
  answer.templated = question.templated;
  answer.prompt_tokens = static_cast<int>(question.tokens.size());
  context.Clear();
  const size_t batch = limits.batch;
  for (size_t at = 0; at < question.tokens.size(); at += batch) {
    limits.alive();
    TRY_STATUS(context.Append(
        {question.tokens.data() + at, std::min(batch, question.tokens.size() - at)}));
  }
  while (static_cast<int>(answer.tokens.size()) < limits.most_tokens) {
    TRY_STATUS(CheckInterrupted());
    limits.alive();
    // Of a batch that asks for the last token's logits only.
    TRY(const Token next, MostLikely(context.Logits(-1), model.vocabulary()));
    answer.ended = model.IsEndOfGeneration(next);
    if (answer.ended) break;
    answer.tokens.push_back(next);
    if (static_cast<int>(answer.tokens.size()) < limits.most_tokens) {
      TRY_STATUS(context.Append({&next, 1}));
    }
  }
  answer.text = WholeCharacters(model.Detokenize(answer.tokens));
  answer.seconds = SecondsSince(start);
  return answer;
}

}  // namespace

Result<Json> AnswersJob(const Json& request, const Emit& emit) {
  TRY(RuntimeSettings settings, RuntimeSettingsFromJson(request.at("settings")));
  const std::string path = request.at("path");
  const int most_tokens = request.at("most_tokens");
  TRY(const Model model, Model::Load(path, Model::Options::PlacedAs(settings)));
  std::vector<Question> questions;
  size_t longest = 0;
  for (const Json& prompt : request.at("prompts")) {
    questions.push_back(Ask(model, prompt.get<std::string>()));
    longest = std::max(longest, questions.back().tokens.size());
  }
  const size_t context_tokens = longest + static_cast<size_t>(most_tokens);
  if (context_tokens > static_cast<size_t>(model.trained_context())) {
    return Error{Code::kUsage,
                 fmt::format("a prompt of {} tokens and an answer of {} are more than the context "
                             "of {} ({} tokens)",
                             longest, most_tokens, path, model.trained_context()),
                 "give shorter prompts, or fewer --answer-tokens"};
  }
  settings.context = static_cast<uint32_t>(context_tokens);
  settings.parallel = 1;
  Context::Options options;
  options.settings = settings;
  options.outputs = 1;
  TRY(Context context, Context::Create(model, options));
  Json answers = Json::array();
  for (size_t i = 0; i < questions.size(); ++i) {
    if (questions[i].tokens.empty()) {
      return Error{Code::kInvalid, "a prompt holds no token", "leave it out"};
    }
    const double done = static_cast<double>(i) / static_cast<double>(questions.size());
    const Limits limits = {settings.batch, most_tokens, [&] { emit({{"progress", done}}); }};
    TRY(const ModelAnswer answer, AnswerOne(model, context, questions[i], limits));
    answers.push_back(ToJson(answer));
    emit({{"progress", static_cast<double>(i + 1) / static_cast<double>(questions.size())}});
  }
  return Json{{"answers", answers}};
}

}  // namespace trimma
