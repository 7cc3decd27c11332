#include "cli/tune_llama_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "cli/server_placement.h"
#include "gguf/vocabulary.h"
#include "llama_server/meter.h"
#include "measure/quality_prompts.h"
#include "quantize/calibration/diagonals.h"
#include "report/table.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

// Of the budget, for settings; speculation has the rest.
constexpr double kSettingsShare = 0.65;
constexpr double kMostStartSeconds = 600;

Result<std::string> DraftPath(const std::string& draft, const OpenedModel& model, bool quiet) {
  if (draft.empty()) return std::string();
  TRY(const OpenedModel small, OpenModel(draft, quiet));
  if (const auto why = WhyNoDraft(model.file, small.file)) {
    return Error{Code::kInvalid,
                 fmt::format("{} can't guess tokens for {}: {}", SafeText(draft),
                             SafeText(model.local.path), *why),
                 "name a small model of the same family and vocabulary"};
  }
  return small.local.path;
}

// Where not all layers fit a card, the server places as many as it thinks fit, which stays the
// default; a few more are tried: a start that runs out of memory is a result.
Status FindPlacements(const LlamaServerProgram& server, const OpenedModel& model,
                      TuneOptions& options) {
  CardPlacement known;
  known.devices = server.devices.size();
  known.has_experts = HasExperts(model.file);
  if (!known.asks_server()) {
    options.other = PlacedBeside(known, options.defaults);
    return {};
  }
  std::vector<std::string> talkative;
  if (server.Knows("--verbosity")) talkative = {"--verbosity", "4"};
  TRY(const LlamaServer started,
      StartServer(server, {model.local.path, options.defaults}, talkative, kMostStartSeconds));
  known.layers = started.OffloadedLayers();
  options.other = PlacedBeside(known, options.defaults);
  return {};
}

TuneOptions SearchOptions(const LlamaServerTuning& wish, const LlamaServerProgram& server) {
  TuneOptions options = wish.tune;
  ServerMeterOptions meter;
  meter.start_each_round = true;
  meter.most_start_seconds = kMostStartSeconds;
  options.meter = LlamaServerMeter(server, meter);
  options.starts_for_each_visit = true;
  options.has_gpu = !server.devices.empty() && options.defaults.use_gpu;
  // One server at a time: no second copy of the weights lies beside the first.
  options.available_bytes = 0;
  options.journal_directory.clear();
  if (!wish.may_judge_kv) {
    options.why_no_kv =
        "what it loses can't be measured through llama-server; with --max-kld trimma's own engine "
        "judges it";
  }
  return options;
}

AnswerCosts CostsOfAnswers(const Speed& speed) {
  return {speed.load_ms.median / 1000, speed.prefill_tps.median, speed.decode_tps.median};
}

std::vector<std::string> CommandOf(const LlamaServerProgram& server, const ServerArguments& words,
                                   const SpeculationResult& speculation) {
  std::vector<std::string> command = {server.path};
  command.insert(command.end(), words.words.begin(), words.words.end());
  if (speculation.best) {
    const auto more = SpeculationWords(server, *speculation.best);
    command.insert(command.end(), more.begin(), more.end());
  }
  return command;
}

std::string InOneLine(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) line += (line.empty() ? "" : " ") + ShellWord(word);
  return line;
}

}  // namespace

bool HasChatTemplate(const GgufFile& file) { return file.metadata.Has("tokenizer.chat_template"); }

Result<LlamaServerTuned> TuneThroughLlamaServer(
    const OpenedModel& model, const LlamaServerProgram& server, const LlamaServerTuning& wish,
    const std::function<void(const std::string&, double)>& progress) {
  LlamaServerTuned tuned;
  const std::string& path = model.local.path;
  SpeculationWish guess;
  TRY(guess.draft, DraftPath(wish.draft, model, wish.quiet));
  TRY(guess.prompts, QuestionTexts(wish.prompts));
  const Speculations possible = SpeculationsToTry(server, guess.draft);
  TuneOptions options = SearchOptions(wish, server);
  const double budget = options.budget_seconds;
  if (options.has_gpu && !wish.gpu_layers_set) TRY_STATUS(FindPlacements(server, model, options));
  const auto now = std::chrono::steady_clock::now();
  options.seconds_before = std::chrono::duration<double>(now - options.begun.value_or(now)).count();
  options.begun = now;
  if (!possible.tried.empty()) options.budget_share = kSettingsShare;
  // Where starts take so long that no setting can be tried, guessing ahead may still be.
  options.keeps_where_short = !possible.tried.empty();
  options.budget_seconds = options.budget_share * std::max(0.0, budget - options.seconds_before);
  TRY(tuned.result, Tune(path, options, progress));
  tuned.result.seconds += options.seconds_before;

  Applied applied;
  applied.model_path = path;
  applied.settings = tuned.result.best_settings;
  TRY(const ServerArguments words, FitArguments(server, applied));
  tuned.result.notes.insert(tuned.result.notes.end(), words.notes.begin(), words.notes.end());
  guess.subject = {path, tuned.result.best_settings};
  guess.templated = HasChatTemplate(model.file);
  guess.most_tokens = options.answer_tokens;
  guess.budget_seconds = std::max(0.0, budget - tuned.result.seconds);
  guess.most_start_seconds = kMostStartSeconds;
  guess.plain = CostsOfAnswers(tuned.result.best_speed);
  TRY(tuned.speculation, TuneSpeculation(server, guess, [&](double share) {
        if (progress) progress("trying speculation", share);
      }));
  if (tuned.result.too_short && tuned.speculation.too_short) return *tuned.result.too_short;
  const auto asked = static_cast<size_t>(tuned.speculation.prompts);
  const size_t all = guess.prompts.size();
  const std::string of_all =
      asked == all ? std::to_string(all) : fmt::format("{} of {}", asked, all);
  tuned.text = fmt::format("the model's {} to {}", guess.templated ? "answers" : "continuations",
                           wish.prompts.empty()
                               ? fmt::format("{} prompts of ours", of_all)
                               : fmt::format("{} prompts of {}", of_all, SafeText(wish.prompts)));
  tuned.command = CommandOf(server, words, tuned.speculation);
  tuned.result.seconds += tuned.speculation.seconds;
  return tuned;
}

Json ToJson(const LlamaServerTuned& tuned, const DecidedThrough& through) {
  Json document = ToJson(tuned.result);
  const std::vector<std::string> words(tuned.command.begin() + 1, tuned.command.end());
  document["through"] = ServerThroughJson(through, words, {});
  document["speculation"] = ToJson(tuned.speculation);
  document["speculation"]["text"] = tuned.text;
  document["command"] = tuned.command;
  return document;
}

std::string DescribeSpeculation(const LlamaServerTuned& tuned) {
  const SpeculationResult& result = tuned.speculation;
  std::string text = fmt::format("\nspeculation, on {}\n", tuned.text);
  TextTable table{{"guessed by", "time, plain = 1", "guesses right", "same answers"}, {}};
  for (const SpeculationTrial& trial : result.trials) {
    if (trial.error) {
      table.rows.push_back(
          {trial.speculation.what, "failed: " + SafeText(trial.error->what, 80), "", ""});
      continue;
    }
    const auto gain = GainOf(trial);
    const std::string time = gain ? fmt::format("{:.3f} ({:.3f} to {:.3f})", 1 / gain->mean,
                                                1 / gain->high, 1 / gain->low)
                                  : "measured once";
    const std::string right = trial.drafted == 0
                                  ? "none were made"
                                  : fmt::format("{} of {}", trial.accepted, trial.drafted);
    table.rows.push_back({trial.speculation.what, time, right,
                          fmt::format("{} of {}", trial.same_answers, result.prompts)});
  }
  if (!table.rows.empty()) text += RenderTable(table);
  for (const auto& [what, why] : result.not_tried)
    text += fmt::format("not tried: {}, since {}\n", what, why);
  for (const std::string& note : result.notes) text += fmt::format("note: {}\n", note);
  return text + fmt::format("{}\n\nstart it so: {}\n", result.verdict, InOneLine(tuned.command));
}

}  // namespace trimma
