#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "base/progress.h"
#include "base/stats_json.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/remember.h"
#include "cli/runtime_options.h"
#include "measure/prompt_advice.h"
#include "measure/prompt_cost.h"
#include "report/answer_text.h"
#include "report/table.h"

namespace trimma {
namespace {

constexpr size_t kAnswerBytes = 400;  // of an answer that is shown

struct PromptFlags {
  std::string file, model, shorter, questions;
  Conversation conversation;
  int rounds = 20;
  double budget_seconds = 30;
  RuntimeOptions runtime;
};

// Where no questions are given: short ones of several kinds (a greeting, a fact, an explanation, a
// text, a calculation, a refusal), for a first look. For a verdict the user's own are needed.
const std::vector<std::string>& UsualQuestions() {
  static const std::vector<std::string> questions = {
      "Hello! What can you do for me?",
      "What is the capital of Sweden?",
      "Explain briefly why the sky is blue.",
      "Write two sentences about a walk in the rain.",
      "How much is 17 times 23?",
      "Can you tell me what the weather will be next week?"};
  return questions;
}

Result<std::string> ReadPrompt(const std::string& path) {
  TRY(std::string text, ReadSmallFile(path, 16ULL << 20));
  if (!IsUtf8(text)) {
    return Error{Code::kInvalid, fmt::format("{} is no text in UTF-8", SafeText(path, 300)),
                 "give the system prompt as a plain text file"};
  }
  if (Trim(text).empty())
    return Error{Code::kInvalid, fmt::format("{} holds no text", SafeText(path, 300)),
                 "give the system prompt as a plain text file"};
  // An editor's last newline is no part of a prompt.
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<std::vector<std::string>> ReadQuestions(const std::string& path) {
  if (path.empty()) return UsualQuestions();
  TRY(const std::string text, ReadPrompt(path));
  std::vector<std::string> questions;
  for (const std::string& line : Split(text, '\n')) {
    if (!Trim(line).empty()) questions.emplace_back(Trim(line));
  }
  return questions;
}

// What the figures rest on, where it isn't what one would expect.
std::vector<std::string> NotesOn(const PromptReport& report, const PromptFlags& options,
                                 int64_t conversation_tokens) {
  std::vector<std::string> notes;
  if (report.system_role == "first message") {
    notes.push_back(
        "the model's chat template knows no system role: the prompt stands before the first "
        "message, as llama-server puts it");
  } else if (report.system_role == "plain text") {
    notes.push_back(
        "the model has no chat template that could be used: the prompt is counted as plain text");
  }
  if (conversation_tokens > report.trained_context) {
    notes.push_back(
        fmt::format("a conversation of {} turns is {} tokens in the end, more than the model's "
                    "context of {}: a server would cut it",
                    options.conversation.turns, conversation_tokens, report.trained_context));
  }
  if (report.change && options.questions.empty()) {
    notes.push_back(
        fmt::format("the {} questions are built in; what your users ask (--questions) decides",
                    report.change->answers.size()));
  }
  return notes;
}

std::string Interval(const Spread& s) {
  return fmt::format("{} ({} to {}, {} runs)", FormatSeconds(s.median / 1000),
                     FormatSeconds(s.low / 1000), FormatSeconds(s.high / 1000), s.n);
}

std::string Seconds(const ConversationCost& cost) {
  return fmt::format(
      "{} tokens, {} ({} to {})", FormatCount(static_cast<uint64_t>(cost.prefill_tokens)),
      FormatSeconds(cost.seconds), FormatSeconds(cost.low), FormatSeconds(cost.high));
}

std::string DescribeCosts(const PromptReport& report, const Conversation& conversation) {
  TextTable table{{"", "prompt"}, {}};
  std::vector<const PromptCost*> costs = {&report.prompt};
  if (report.shorter) {
    costs.push_back(&*report.shorter);
    table.head.emplace_back("shorter");
  }
  const auto row = [&](const std::string& what, const auto& show) {
    std::vector<std::string> cells = {what};
    for (const PromptCost* cost : costs) cells.push_back(show(*cost));
    table.rows.push_back(std::move(cells));
  };
  row("tokens before a question", [](const PromptCost& c) {
    return fmt::format("{} ({} its own)", FormatCount(static_cast<uint64_t>(c.tokens)),
                       FormatCount(static_cast<uint64_t>(c.text_tokens)));
  });
  row("KV cache", [](const PromptCost& c) { return FormatBytes(c.kv_bytes); });
  row("first token, cold", [](const PromptCost& c) { return Interval(c.cold_ms); });
  row("first token, prefix kept", [](const PromptCost& c) { return Interval(c.warm_ms); });
  row(fmt::format("{} turns, nothing kept", conversation.turns),
      [&](const PromptCost& c) { return Seconds(CostUncached(report, c, conversation)); });
  row(fmt::format("{} turns, all kept", conversation.turns),
      [&](const PromptCost& c) { return Seconds(CostCached(report, c, conversation)); });
  return RenderTable(table);
}

std::string DescribeRepeats(const std::vector<Repeat>& repeats) {
  std::string text;
  int tokens = 0;
  for (const Repeat& r : repeats) {
    tokens += r.tokens;
    text += fmt::format("  line {} {} line {} ({} tokens): {}\n", r.line,
                        r.exact ? "repeats" : fmt::format("is {:.0f} % as", 100 * r.resemblance),
                        r.first_line, r.tokens, SafeText(r.text, 100));
  }
  if (repeats.empty()) return "";
  return fmt::format("\nSaid twice; dropping it saves {} tokens:\n{}", tokens, text);
}

std::string DescribeChange(const PromptReport& report) {
  const PromptChange& change = *report.change;
  const Spread saved = SavedMs(report);
  std::string text = fmt::format(
      "\nThe shorter prompt saves {} tokens, {} of KV cache and {} before a cold first token ({} "
      "to "
      "{}).\n",
      report.prompt.tokens - report.shorter->tokens,
      FormatBytes(report.prompt.kv_bytes -
                  std::min(report.prompt.kv_bytes, report.shorter->kv_bytes)),
      FormatSeconds(saved.median / 1000), FormatSeconds(saved.low / 1000),
      FormatSeconds(saved.high / 1000));
  text += fmt::format(
      "It changes the answers by a mean KL divergence of {:.4f} nats a token{}; {:.1f} % of tokens "
      "have the same favourite; {} of {} answers stay literally the same.\n",
      change.mean_kld,
      change.interval
          ? fmt::format(" (95 %: {:.4f} to {:.4f})", change.interval->low, change.interval->high)
          : "",
      100 * change.same_top, change.answers_same, change.answers.size());
  for (const PromptAnswer& a : change.answers) {
    text += fmt::format("\n? {}\n", SafeText(a.question, 200));
    if (a.same) {
      text += fmt::format("  both: {}\n", OneLine(a.answer, kAnswerBytes));
    } else {
      text += fmt::format("  long:  {}\n  short: {}\n  the same for {} of {} tokens, {:.4f} nats\n",
                          OneLine(a.answer, kAnswerBytes), OneLine(a.shorter_answer, kAnswerBytes),
                          a.same_tokens, a.tokens, a.mean_kld);
    }
  }
  return text;
}

Json CostJson(const ConversationCost& cost) {
  return {{"prefill_tokens", cost.prefill_tokens},
          {"seconds", cost.seconds},
          {"seconds_interval", {cost.low, cost.high}}};
}

Json ConversationJson(const PromptReport& report, const PromptCost& prompt, const Conversation& c) {
  return {{"turns", c.turns},
          {"question_tokens", prompt.question_tokens},
          {"answer_tokens", c.answer_tokens},
          {"nothing_kept", CostJson(CostUncached(report, prompt, c))},
          {"all_kept", CostJson(CostCached(report, prompt, c))}};
}

Json Document(const OpenedModel& model, const RuntimeSettings& settings, const PromptFlags& options,
              const PromptReport& report) {
  Json document = ToJson(report);
  document["schema"] = "trimma.prompt/1";
  document["prompt"] = options.file;
  document["model"] = StoredPath(model);
  document["settings"] = ToJson(settings);
  document["conversation"] = ConversationJson(report, report.prompt, options.conversation);
  document["advice"] = AdviceFor(report);
  if (report.shorter) {
    document["shorter"]["prompt"] = options.shorter;
    document["shorter"]["conversation"] =
        ConversationJson(report, *report.shorter, options.conversation);
    const Spread saved = SavedMs(report);
    document["saved"] = {{"tokens", report.prompt.tokens - report.shorter->tokens},
                         {"kv_bytes", static_cast<int64_t>(report.prompt.kv_bytes) -
                                          static_cast<int64_t>(report.shorter->kv_bytes)},
                         {"ttft_cold_ms", saved.median},
                         {"ttft_cold_ms_ci95", Interval95(saved)}};
  }
  return document;
}

Status RunPrompt(const PromptFlags& options, const Shared& shared) {
  TRY(const OpenedModel model, OpenModel(options.model, shared.quiet));
  TRY(const RuntimeSettings settings, ToSettings(options.runtime));
  PromptQuestion question;
  question.path = model.local.path;
  question.settings = settings;
  TRY(question.prompt, ReadPrompt(options.file));
  if (!options.shorter.empty()) {
    TRY(question.shorter, ReadPrompt(options.shorter));
  }
  TRY(question.questions, ReadQuestions(options.questions));
  question.answer_tokens = options.conversation.answer_tokens;
  question.rounds = options.rounds;
  question.budget_seconds = options.budget_seconds;
  Progress progress(shared.quiet);
  const auto report = MeasurePrompt(
      question, [&](double share) { progress.Update("measuring the prompt", share); });
  progress.Done();
  if (!report.ok()) return report.error();
  Json document = Document(model, settings, options, *report);
  const auto& c = options.conversation;
  const int64_t all =
      report->prompt.tokens +
      static_cast<int64_t>(c.turns) * (report->prompt.question_tokens + c.answer_tokens);
  const auto notes = NotesOn(*report, options, all);
  document["notes"] = notes;
  std::string text = fmt::format("{} ({})\n\n", DisplayName(model), TypeLabel(model.file));
  text += DescribeCosts(*report, c) + DescribeRepeats(report->prompt.repeats);
  if (report->change) text += DescribeChange(*report);
  text += "\n";
  for (const std::string& sentence : AdviceFor(*report)) text += sentence + "\n";
  for (const std::string& note : notes) text += fmt::format("note: {}\n", note);
  return PrintAndRemember(document, text, shared.json, StoredPath(model));
}

}  // namespace

Action DefinePrompt(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<PromptFlags>();
  app.add_option("FILE", o->file, "The system prompt, a text file")->required();
  app.add_option("--model", o->model, "A model file or name")->required();
  app.add_option("--shorter", o->shorter, "A shorter version: what it saves, and what it changes");
  app.add_option("--questions", o->questions,
                 "A text file with a question in each line (default: six of our own)");
  app.add_option("--turns", o->conversation.turns, "Turns of the conversation that is priced")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--answer-tokens", o->conversation.answer_tokens, "Tokens of an answer, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  app.add_option("--rounds", o->rounds, "At most so many repeats")
      ->capture_default_str()
      ->check(CLI::Range(3, 10000));
  app.add_option("--budget", o->budget_seconds, "Seconds for timing")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 86400.0));
  AddRuntimeOptions(app, o->runtime);
  return [o, &shared] { return RunPrompt(*o, shared); };
}

}  // namespace trimma
