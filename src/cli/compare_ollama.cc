// compare --through ollama.
#include <fmt/format.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "cli/through_ollama.h"

namespace trimma {
namespace {

// An answer that takes longer is compared as far as it came.
constexpr double kMostSeconds = 300;

// Without a template of its own, Ollama gives a model this one.
bool HasChatTemplate(const OllamaShow& show) {
  return !show.renderer.empty() ||
         (!show.chat_template.empty() && Trim(show.chat_template) != "{{ .Prompt }}");
}

// As the model's words go on: what it thinks, where Ollama keeps that apart, comes first.
std::string WholeText(const OllamaAnswer& said) {
  return said.thinking.empty() ? said.text
                               : fmt::format("<think>{}</think>{}", said.thinking, said.text);
}

// As an application asks, by /api/chat, with the model's template, system prompt and messages. A
// model without a template gets the text as it is: Ollama from 0.30 on would put one of
// llama-server's around it.
Result<OllamaAnswer> AskOne(OllamaClient& client, const std::string& model, bool templated,
                            const std::string& text, const Json& options) {
  if (templated) return client.Chat({model, {{"user", text}}, options, kMostSeconds}, {});
  OllamaPrompt prompt;
  prompt.model = model;
  prompt.text = text;
  prompt.options = options;
  prompt.most_seconds = kMostSeconds;
  return client.Generate(prompt, {});
}

// What one prompt fails at is noted, and its answer is empty; the error where all fail.
Result<std::vector<ModelAnswer>> Ask(OllamaClient& client, const OllamaComparison& wish,
                                     Json options, ComparedModel& model) {
  options["num_predict"] = wish.most_tokens;
  options["temperature"] = 0;
  options["seed"] = 1;
  TRY(const OllamaShow show, client.Show(model.name));
  const bool templated = HasChatTemplate(show);
  std::vector<ModelAnswer> answers;
  std::optional<Error> failed;
  size_t failures = 0;
  for (const std::string& text : wish.prompts) {
    const auto said = AskOne(client, model.name, templated, text, options);
    ModelAnswer answer;
    answer.templated = templated;
    if (said.ok()) {
      answer.text = WholeText(*said);
      answer.ended = said->done_reason == "stop";
      answer.prompt_tokens = static_cast<int>(said->prompt_tokens);
      answer.seconds = said->total_s;
    } else if (IsInterrupt(said.error())) {
      return said.error();
    } else {
      failed = said.error();
      ++failures;
      model.errors.push_back(
          fmt::format("no answer to prompt {}: {}", answers.size() + 1, failed->what));
    }
    answers.push_back(std::move(answer));
  }
  if (failed && failures == answers.size()) {
    model.errors.clear();
    return *failed;
  }
  return answers;
}

}  // namespace

Result<Comparison> CompareThroughOllama(const OllamaComparison& wish, Progress& progress) {
  TRY(const Json options, OllamaOptions(wish.speed.runtime));
  TRY(OllamaClient client, OllamaClient::Connect());
  if (wish.speed.models.size() < 2) {
    return Error{Code::kUsage, "there is one model only, and nothing to compare it with",
                 "name two or more"};
  }
  Comparison comparison;
  std::vector<std::vector<size_t>> groups;
  for (const std::string& model : wish.speed.models) {
    const std::string name = NameInOllamaOf(model);
    TRY(const auto tag, client.FindTag(name));
    if (!tag) {
      return Error{
          Code::kNotFound,
          fmt::format("{} is not in the Ollama at {}", SafeText(name), client.address().Text()),
          "ollama list names what is there"};
    }
    // Ollama doesn't tell whether two vocabularies are the same: answers are compared as texts.
    groups.push_back({comparison.models.size()});
    comparison.models.push_back({name, PathInStore(name), tag->type, tag->bytes, std::nullopt, {}});
  }
  comparison.notes.push_back(
      fmt::format("measured through Ollama {}, which gives no logits: quality is not compared",
                  client.version()));
  if (wish.with_answers) {
    std::vector<std::optional<std::vector<ModelAnswer>>> answers(comparison.models.size());
    for (size_t m = 0; m < answers.size(); ++m) {
      progress.Update("asking for answers",
                      static_cast<double>(m) / static_cast<double>(answers.size()));
      auto said = Ask(client, wish, options, comparison.models[m]);
      if (said.ok()) {
        answers[m] = *std::move(said);
      } else if (IsInterrupt(said.error())) {
        return said.error();
      } else {
        comparison.models[m].errors.push_back("no answers: " + said.error().what);
      }
    }
    comparison.answers = SideBySide(wish.prompts, answers, groups);
  }
  if (wish.with_speed) {
    const auto measured = MeasureThroughOllama(wish.speed, progress);
    if (!measured.ok()) {
      if (IsInterrupt(measured.error())) return measured.error();
      comparison.notes.push_back("no speeds: " + measured.error().what);
      return comparison;
    }
    for (size_t m = 0; m < comparison.models.size(); ++m) {
      TRY(comparison.models[m].speed, SpeedFromJson((*measured)["models"][m]["speed"]));
    }
  }
  return comparison;
}

}  // namespace trimma
