#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/card_placing.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/keep_quality.h"
#include "cli/remember.h"
#include "cli/runtime_options.h"
#include "cli/through.h"
#include "cli/through_ollama.h"
#include "cli/tune_llama_server.h"
#include "llama_server/answers.h"
#include "llama_server/arguments.h"
#include "llama_server/meter.h"
#include "measure/compare.h"
#include "measure/quality_prompts.h"
#include "plan/plan.h"
#include "report/compare_page.h"
#include "report/compare_text.h"

namespace trimma {
namespace {

struct CompareFlags {
  std::vector<std::string> models;
  std::string reference;
  std::string text;
  std::string prompts;
  int chunks = 0;
  int answer_tokens = 96;
  std::vector<std::string> skip;
  std::string report;
  SpeedOptions speed_options;
  RuntimeOptions runtime;
  ThroughOptions through;
  bool Skips(const char* part) const {
    return std::find(skip.begin(), skip.end(), part) != skip.end();
  }
};

class Comparing {
 public:
  // `server`: a llama-server that answers and is timed; nullptr: trimma's own engine is.
  Comparing(const CompareFlags& options, RuntimeSettings settings, const LlamaServerProgram* server,
            bool quiet)
      : options_(options), settings_(std::move(settings)), server_(server), progress_(quiet) {}

  Result<Comparison> Run() {
    TRY_STATUS(OpenAll());
    TRY_STATUS(PlaceAll());
    TRY_STATUS(ReadQuestions());
    // Quality first: what is wrong with the text is found before anyone waits for the rest.
    if (!options_.Skips("quality")) TRY_STATUS(MeasurePairs());
    if (!options_.Skips("answers")) TRY_STATUS(AskAll());
    if (!options_.Skips("speed")) TRY_STATUS(Time());
    progress_.Done();
    return std::move(comparison_);
  }

 private:
  Status OpenAll() {
    std::vector<std::string> names = options_.models;
    if (!options_.reference.empty()) {
      std::erase(names, options_.reference);
      names.insert(names.begin(), options_.reference);
    }
    if (names.size() < 2)
      return Error{Code::kUsage, "there is one model only, and nothing to compare it with",
                   "name two or more"};
    for (const std::string& name : names) {
      TRY(OpenedModel model, OpenModel(name, progress_.quiet()));
      comparison_.models.push_back(
          {name, model.local.path, TypeLabel(model.file), model.file.file_bytes, std::nullopt, {}});
      opened_.push_back(std::move(model));
    }
    std::vector<const GgufFile*> files;
    for (const OpenedModel& model : opened_) files.push_back(&model.file);
    groups_ = VocabularyGroups(files);
    return {};
  }

  Status ReadQuestions() {
    TRY(prompts_, QuestionTexts(options_.prompts));
    return {};
  }

  // Each model where the planner puts it; a llama-server places them itself.
  Status PlaceAll() {
    settings_of_.assign(opened_.size(), settings_);
    if (server_ != nullptr || !settings_.use_gpu) return {};
    TRY(site_, SiteOf(ScanMachine()));
    if (site_.target.machine.gpus.empty() || settings_.gpu_layers) return {};
    for (size_t m = 0; m < opened_.size(); ++m) {
      TRY(const CardPlacing placing, PlacedForMeasuring(opened_[m].file, site_, settings_));
      if (placing.whole) continue;
      settings_of_[m] = placing.settings;
      comparison_.notes.push_back(fmt::format("{}: {}", comparison_.models[m].name, placing.note));
    }
    return {};
  }

  Judged AsJudged(size_t model) const {
    return {comparison_.models[model].path, settings_of_[model]};
  }

  Status MeasurePairs() {
    for (const std::vector<size_t>& group : groups_) {
      if (group.size() < 2) {
        comparison_.notes.push_back(fmt::format(
            "no other model has the vocabulary of {}: a divergence from it would mean nothing, so "
            "that only speed and answers are compared",
            comparison_.models[group[0]].name));
        continue;
      }
      TRY_STATUS(OrNoted("no divergences", MeasureGroup(group)));
    }
    return {};
  }

  // What one part can't do is noted, and the others go on; an interrupt ends all.
  Status OrNoted(const char* what, const Status& status) {
    if (status.ok() || IsInterrupt(status.error())) return status;
    comparison_.notes.push_back(fmt::format("{}: {}", what, status.error().what));
    return {};
  }

  // Against the first of the group, which the first of all is in its own.
  Status MeasureGroup(const std::vector<size_t>& group) {
    QualityOptions quality;
    if (!options_.text.empty()) quality.text_file = options_.text;
    if (options_.text.empty() && !options_.prompts.empty()) quality.prompts_file = options_.prompts;
    quality.chunks = options_.chunks;
    quality.rounds = 2;
    uint32_t context = 0;
    for (const size_t model : group) {
      const uint32_t trained = TrainedContext(opened_[model].file);
      context = context == 0 ? trained : std::min(context, trained);
    }
    quality.chunk = JudgingChunk(context);
    std::vector<Judged> candidates;
    for (size_t i = 1; i < group.size(); ++i) candidates.push_back(AsJudged(group[i]));
    Judged reference = AsJudged(group[0]);
    reference.settings = ReferenceSettings(reference.settings);
    TRY(const Judgement judgement, JudgeQuality(reference, candidates, quality, [&](double share) {
          progress_.Update("measuring quality", share);
        }));
    const std::string on_host = HostWords(judgement.qualities.at(0).left_cards);
    if (!on_host.empty()) {
      comparison_.notes.push_back(fmt::format(
          "divergences against {} were measured with {}", comparison_.models[group[0]].name,
          judgement.qualities[0].left_cards == LeftCards::kAll ? "all " + on_host : on_host));
    }
    for (size_t i = 1; i < group.size(); ++i) {
      comparison_.pairs.push_back({group[0], group[i], judgement.qualities[i - 1]});
      const auto reason = CalibratedOn(opened_[group[i]].file.metadata, judgement.text);
      if (reason) {
        comparison_.notes.push_back(fmt::format("{} {}: its loss looks smaller here than it is",
                                                comparison_.models[group[i]].name, *reason));
      }
    }
    for (const LossRatio& r : judgement.ratios)
      comparison_.ratios.push_back({group[0], group[r.a + 1], group[r.b + 1], r.ratio});
    comparison_.texts.push_back(judgement.text);
    return {};
  }

  // One after the other, each in a process of its own: what one can't do, the others still do.
  Status AskAll() {
    std::vector<std::optional<std::vector<ModelAnswer>>> answers(comparison_.models.size());
    const auto count = static_cast<double>(answers.size());
    for (size_t m = 0; m < answers.size(); ++m) {
      auto said = AnswersOf(m, [&](double share) {
        progress_.Update("asking for answers", (static_cast<double>(m) + share) / count);
      });
      if (said.ok()) {
        answers[m] = std::move(said).value();
      } else if (IsInterrupt(said.error())) {
        return said.error();
      } else {
        comparison_.models[m].errors.push_back("no answers: " + said.error().what);
      }
    }
    comparison_.answers = SideBySide(prompts_, answers, GroupsOf(answers));
    return {};
  }

  Result<std::vector<ModelAnswer>> AnswersOf(size_t m,
                                             const std::function<void(double)>& progress) {
    if (server_ == nullptr)
      return AnswerPrompts(AsJudged(m), prompts_, options_.answer_tokens, progress);
    ServedQuestions questions;
    questions.prompts = prompts_;
    questions.templated = HasChatTemplate(opened_[m].file);
    questions.most_tokens = options_.answer_tokens;
    return AnswersThroughServer(*server_, {comparison_.models[m].path, settings_of_[m]}, questions,
                                progress);
  }

  // Answers without tokens, as of an older llama-server, are compared as texts.
  std::vector<std::vector<size_t>> GroupsOf(
      const std::vector<std::optional<std::vector<ModelAnswer>>>& answers) const {
    bool tokens = true;
    for (const auto& of_model : answers) {
      if (!of_model) continue;
      for (const ModelAnswer& answer : *of_model)
        tokens = tokens && (!answer.tokens.empty() || answer.text.empty());
    }
    if (tokens) return groups_;
    std::vector<std::vector<size_t>> apart;
    for (size_t m = 0; m < answers.size(); ++m) apart.push_back({m});
    return apart;
  }

  Status Time() {
    std::vector<SpeedSubject> subjects;
    for (size_t m = 0; m < opened_.size(); ++m)
      subjects.push_back({comparison_.models[m].path, settings_of_[m]});
    SpeedOptions speed = options_.speed_options;
    if (server_ == nullptr) LoadAsCardsHold(subjects, site_, speed);
    speed.processes = std::min(speed.rounds, kSpeedProcesses);
    const auto tell = [&](double share) { progress_.Update("measuring speed", share); };
    const auto trials = server_ == nullptr ? MeasureSpeed(subjects, speed, tell)
                                           : LlamaServerMeter(*server_, {})(subjects, speed, tell);
    if (!trials.ok()) return OrNoted("no speeds", trials.error());
    for (size_t m = 0; m < trials->size(); ++m) {
      const SpeedTrial& trial = (*trials)[m];
      if (trial.error) {
        comparison_.models[m].errors.push_back("no speed: " + trial.error->what);
      } else {
        comparison_.models[m].speed = trial.speed;
        const std::string fewer = server_ == nullptr ? "" : FewerStarts(trial.speed, speed);
        if (!fewer.empty())
          comparison_.notes.push_back(fmt::format("{}: {}", comparison_.models[m].name, fewer));
      }
    }
    return {};
  }

  const CompareFlags& options_;
  RuntimeSettings settings_;
  const LlamaServerProgram* server_;
  Site site_;
  std::vector<RuntimeSettings> settings_of_;  // the models
  Progress progress_;
  std::vector<OpenedModel> opened_;
  std::vector<std::vector<size_t>> groups_;
  std::vector<std::string> prompts_;
  Comparison comparison_;
};

Result<Comparison> ThroughARunningOllama(const CompareFlags& options, bool quiet) {
  OllamaComparison wish;
  wish.speed.models = options.models;
  wish.speed.runtime = options.runtime;
  wish.speed.prompt_tokens = options.speed_options.prompt_tokens;
  wish.speed.answer_tokens = options.speed_options.decode_tokens;
  wish.speed.rounds = options.speed_options.rounds;
  wish.speed.seconds = options.speed_options.budget_seconds;
  wish.with_speed = !options.Skips("speed");
  wish.with_answers = !options.Skips("answers");
  wish.most_tokens = options.answer_tokens;
  TRY(wish.prompts, QuestionTexts(options.prompts));
  Progress progress(quiet);
  auto comparison = CompareThroughOllama(wish, progress);
  progress.Done();
  return comparison;
}

Status RunCompare(const CompareFlags& options, const DecidedThrough& through,
                  const Shared& shared) {
  TRY(const RuntimeSettings settings, ToSettings(options.runtime));
  const LlamaServerProgram* server = through.server ? &*through.server : nullptr;
  TRY(Comparison comparison, through.choice.through == Through::kOllama
                                 ? ThroughARunningOllama(options, shared.quiet)
                                 : Comparing(options, settings, server, shared.quiet).Run());
  if (server == nullptr && !through.choice.why.empty())
    comparison.notes.push_back(through.choice.why);
  ServerArguments arguments;
  if (server != nullptr) {
    // Of the first as an example.
    Applied applied;
    applied.model_path = comparison.models[0].path;
    applied.settings = settings;
    // Where it can't be told the settings, each model's errors say so.
    if (auto fitted = FitArguments(*server, applied); fitted.ok()) arguments = *std::move(fitted);
    comparison.notes.insert(comparison.notes.end(), arguments.notes.begin(), arguments.notes.end());
    comparison.notes.push_back(
        fmt::format("speeds and answers through llama-server {} at {}{}", SafeText(server->version),
                    SafeText(server->path),
                    comparison.pairs.empty() ? "" : "; divergences by trimma's own engine"));
  }
  if (!options.report.empty()) {
    TRY_STATUS(WriteFileAtomically(options.report, RenderComparePage(comparison)));
  }
  Json document = {{"schema", "trimma.compare/1"},
                   {"settings", ToJson(settings)},
                   {"report", options.report.empty() ? Json() : Json(options.report)}};
  if (server != nullptr)
    document["through"] = ServerThroughJson(through, arguments.words, arguments.notes);
  document.update(ToJson(comparison));
  std::string text = RenderComparison(comparison);
  if (!options.report.empty()) text += fmt::format("\nreport: {}\n", SafeText(options.report));
  return PrintAndRemember(document, text, shared.json, comparison.models[0].path);
}

}  // namespace

Action DefineCompare(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<CompareFlags>();
  o->speed_options.rounds = 2 * kSpeedProcesses;
  app.add_option("MODEL", o->models, "Model files or names; the first is the reference")
      ->required();
  app.add_option("--reference", o->reference, "Another reference than the first MODEL");
  app.add_option("--prompts", o->prompts,
                 "Questions to answer: a file with one a line, or parted by lines --- (default: "
                 "four of ours, the first in your language)");
  app.add_option("--answer-tokens", o->answer_tokens, "At most so many tokens an answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  app.add_option("--text", o->text,
                 "Judge quality on this text (default: what the reference answers to --prompts, "
                 "or text it generates)");
  app.add_option("--chunks", o->chunks, "At most so many chunks of it (0: all)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--skip", o->skip, "Leave out speed, quality or answers")
      ->delimiter(',')
      ->check(CLI::IsMember({"speed", "quality", "answers"}));
  app.add_option("--report", o->report, "Write a page (HTML, one file) with all of it");
  app.add_option("--prompt-tokens", o->speed_options.prompt_tokens,
                 "Prompt of the speed measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--decode-tokens", o->speed_options.decode_tokens, "Tokens decoded in it")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--rounds", o->speed_options.rounds, "At most so many repeats of it")
      ->capture_default_str()
      ->check(CLI::Range(3, 10000));
  AddRuntimeOptions(app, o->runtime);
  AddThroughOptions(app, o->through);
  return [o, &app, &shared]() -> Status {
    ThroughQuestion question;
    question.options = o->through;
    question.models = o->models;
    question.runtime = o->runtime;
    if (o->Skips("speed") && o->Skips("answers")) question.own_alone = "only it measures quality";
    question.not_of_ollama = FirstGiven(app, {"--reference", "--text", "--chunks"});
    TRY(const DecidedThrough through, DecideThrough(question, shared.quiet));
    return RunCompare(*o, through, shared);
  };
}

}  // namespace trimma
