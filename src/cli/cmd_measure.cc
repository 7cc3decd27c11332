#include <fmt/format.h>

#include <algorithm>

#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/card_placing.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/keep_quality.h"
#include "cli/quality_output.h"
#include "cli/remember.h"
#include "cli/runtime_options.h"
#include "cli/through.h"
#include "cli/through_ollama.h"
#include "llama_server/meter.h"
#include "measure/quality.h"
#include "measure/speed.h"
#include "plan/plan.h"

namespace trimma {
namespace {

constexpr int kUsualDepth = 4096;
constexpr int kDeepChunks = 16;

struct MeasureFlags {
  std::vector<std::string> models;
  std::string against;
  bool speed = false;
  bool quality = false;
  std::string text;
  std::string prompts;
  int chunk = 512;
  int chunks = 0;
  std::string score = "half";
  std::vector<std::string> kv_quality;
  std::optional<int> depth;
  int last = 128;
  std::optional<double> max_kld;
  bool better = false;
  std::string precision;
  double budget_seconds = 600;
  SpeedOptions speed_options;
  int processes = kSpeedProcesses;
  RuntimeOptions runtime;
  ThroughOptions through;
};

std::string SpreadText(const Spread& s, const char* unit) {
  return fmt::format("{:.1f} {} ({}{:.1f} to {:.1f}, {} figures)", s.median, unit,
                     s.n < kFewestForInterval ? "all of them: " : "95 %: ", s.low, s.high, s.n);
}

std::string EnergyText(const std::optional<EnergyUse>& use, const char* phase) {
  const auto joules = use ? JoulesPerToken(*use) : std::nullopt;
  return joules ? fmt::format("energy, {:<12} {:.3g} J a token\n", phase, *joules) : "";
}

std::string Describe(const Speed& s) {
  return fmt::format(
             "prefill              {}\ndecode               {}\ntime to first token  {} for {} "
             "prompt tokens\n",
             SpreadText(s.prefill_tps, "tok/s"), SpreadText(s.decode_tps, "tok/s"),
             SpreadText(s.ttft_ms, "ms"), s.prompt_tokens) +
         (s.load_ms.n > 0 ? fmt::format("load                 {:.0f} ms\n", s.load_ms.median)
                          : "") +
         EnergyText(s.prefill_energy, "prefill") + EnergyText(s.decode_energy, "decode");
}

bool AsksSpeed(const MeasureFlags& options) {
  return options.speed || (!options.quality && options.kv_quality.empty());
}
bool AsksQuality(const MeasureFlags& options) {
  const bool about_quality = !options.against.empty() || !options.kv_quality.empty();
  return options.quality || (!options.speed && about_quality);
}
bool IsDeep(const MeasureFlags& options) { return options.depth || !options.kv_quality.empty(); }

Result<QualityOptions> ToQualityOptions(const MeasureFlags& options, const GgufFile& file) {
  QualityOptions quality;
  if (!options.text.empty()) quality.text_file = options.text;
  if (!options.prompts.empty()) quality.prompts_file = options.prompts;
  quality.chunk = options.chunk;
  quality.chunks = options.chunks;
  quality.score_all = options.score == "all";
  quality.rounds = 4;
  quality.budget_seconds = options.budget_seconds;
  quality.questions = {options.max_kld, options.better, std::nullopt};
  if (!options.precision.empty()) {
    TRY(quality.questions.precision, ParseShare(options.precision));
  }
  if (IsDeep(options)) {
    // One more: the last token is only predicted.
    const int longest = static_cast<int>(TrainedContext(file));
    const int depth =
        options.depth.value_or(std::min(kUsualDepth, std::max(1, longest - options.last - 1)));
    quality.last = options.last;
    quality.chunk = depth + options.last + 1;
    if (quality.chunks == 0 && !quality.questions.any()) quality.chunks = kDeepChunks;
  }
  return quality;
}

// What is judged: models as they are against a reference, or one model's cache types against its
// cache in full.
struct Subjects {
  Judged reference;
  std::vector<Judged> candidates;
  std::vector<std::string> names;
  std::vector<const GgufFile*> files;
};

// K and V apart: of each type alone, and of both.
Status AddCacheTypes(const MeasureFlags& options, const OpenedModel& model,
                     const RuntimeSettings& settings, Subjects& subjects) {
  for (const std::string& name : options.kv_quality) {
    TRY(const std::string type, ParseKvType(name));
    const std::pair<std::string, std::string> kinds[] = {
        {type, "f16"}, {"f16", type}, {type, type}};
    for (const auto& [k, v] : kinds) {
      RuntimeSettings of = settings;
      of.kv_k = k;
      of.kv_v = v;
      subjects.candidates.push_back({model.local.path, of});
      subjects.names.push_back(fmt::format("K {}, V {}", k, v));
      subjects.files.push_back(&model.file);
    }
  }
  return {};
}

void WarnOfCalibration(const Subjects& subjects, const JudgingText& text) {
  for (size_t i = 0; i < subjects.files.size(); ++i) {
    const auto reason = CalibratedOn(subjects.files[i]->metadata, text);
    if (!reason) continue;
    fmt::print(stderr,
               "trimma: {} {}: its loss looks smaller here than it is; judge on another text\n",
               SafeText(subjects.names[i]), *reason);
  }
}

Result<NamedJudgement> Judge(const MeasureFlags& options, const std::vector<OpenedModel>& models,
                             const RuntimeSettings& settings, Progress& progress) {
  const bool of_caches = !options.kv_quality.empty();
  Result<OpenedModel> reference =
      of_caches ? Result<OpenedModel>(models[0]) : OpenModel(options.against, progress.quiet());
  if (!reference.ok()) return reference.error();
  Subjects subjects;
  subjects.reference = {reference->local.path, ReferenceSettings(settings)};
  if (of_caches) {
    TRY_STATUS(AddCacheTypes(options, models[0], settings, subjects));
  } else {
    for (size_t i = 0; i < models.size(); ++i) {
      subjects.candidates.push_back({models[i].local.path, settings});
      subjects.names.push_back(options.models[i]);
      subjects.files.push_back(&models[i].file);
    }
  }
  TRY(const QualityOptions quality, ToQualityOptions(options, reference->file));
  NamedJudgement named;
  named.names = subjects.names;
  TRY(named.judgement,
      JudgeQuality(subjects.reference, subjects.candidates, quality,
                   [&](double share) { progress.Update("measuring quality", share); }));
  for (size_t i = 0; i < subjects.candidates.size(); ++i) {
    KeepQuality(reference->file,
                {*subjects.files[i], subjects.candidates[i].settings,
                 MadeWithImportance(*subjects.files[i])},
                named.judgement.qualities[i], progress);
  }
  progress.Done();
  WarnOfCalibration(subjects, named.judgement.text);
  return named;
}

Json CacheDocument(const NamedJudgement& named, const MeasureFlags& options,
                   const std::vector<OpenedModel>& models) {
  const int chunk = named.judgement.qualities[0].chunk;
  Json cells = Json::array();
  size_t at = 0;
  for (const std::string& type : options.kv_quality) {
    const std::string name = ToLower(type);
    const std::pair<std::string, std::string> kinds[] = {
        {name, "f16"}, {"f16", name}, {name, name}};
    for (const auto& [k, v] : kinds) {
      Json cell = ToJson(named.judgement.qualities[at]);
      cell["name"] = named.names[at++];
      cell["kv_k"] = k;
      cell["kv_v"] = v;
      cells.push_back(std::move(cell));
    }
  }
  return {{"model", StoredPath(models[0])},
          {"depth", chunk - 1 - options.last},
          {"scored_per_chunk", options.last},
          {"cells", cells}};
}

Status CheckWish(const MeasureFlags& options, bool quality) {
  if (quality && options.against.empty() && options.kv_quality.empty()) {
    return Error{Code::kUsage, "quality is a divergence from a reference, and none is named",
                 "add --against FILE, the model this one was made from"};
  }
  const bool asks = options.max_kld || !options.precision.empty() || options.better;
  if (!quality && (asks || !options.text.empty() || !options.prompts.empty())) {
    return Error{Code::kUsage,
                 "what is asked of the quality can't be answered: only speed is measured",
                 "add --against FILE, and --quality where --speed is asked for too"};
  }
  if (options.better && options.models.size() < 2 && options.kv_quality.empty()) {
    return Error{Code::kUsage,
                 "--better asks which of several models loses least, and one is named",
                 "name two models or more"};
  }
  if (!options.kv_quality.empty() && (!options.against.empty() || options.models.size() > 1)) {
    return Error{Code::kUsage,
                 "--kv-quality judges one model's cache against the same model's in full",
                 "leave out --against and other models"};
  }
  if (!options.text.empty() && !options.prompts.empty()) {
    return Error{Code::kUsage, "--text and --prompts are two texts to judge on",
                 "give one of the two"};
  }
  return {};
}

Status RunThroughOllama(const MeasureFlags& options, const std::string& why, const Shared& shared) {
  if (options.quality || !options.against.empty() || !options.kv_quality.empty()) {
    return Error{Code::kUsage, "Ollama gives no logits: quality can't be measured through it",
                 "leave out --through for that"};
  }
  ThroughOllama wish{options.models, options.runtime};
  wish.prompt_tokens = options.speed_options.prompt_tokens;
  wish.answer_tokens = options.speed_options.decode_tokens;
  wish.rounds = options.speed_options.rounds;
  wish.seconds = options.speed_options.budget_seconds;
  wish.why = why;
  Progress progress(shared.quiet);
  TRY(const Json document, MeasureThroughOllama(wish, progress));
  return PrintAndRemember(document, DescribeMeasured(document), shared.json,
                          PathInStore(document["model"]));
}

// The command line that a model is measured under, of the first as an example.
Result<ServerArguments> ServerArgumentsFor(const LlamaServerProgram& server,
                                           const std::string& path,
                                           const RuntimeSettings& settings) {
  Applied applied;
  applied.model_path = path;
  applied.settings = settings;
  return FitArguments(server, applied);
}

Status RunMeasure(const MeasureFlags& options, const DecidedThrough& through,
                  const Shared& shared) {
  if (through.choice.through == Through::kOllama)
    return RunThroughOllama(options, through.choice.why, shared);
  const LlamaServerProgram* server = through.server ? &*through.server : nullptr;
  const bool quality = AsksQuality(options);
  const bool speed = AsksSpeed(options);
  TRY_STATUS(CheckWish(options, quality));
  if (server != nullptr && !speed) {
    return Error{Code::kUsage, "llama-server gives no logits: quality can't be measured through it",
                 "leave out --through, or add --speed"};
  }
  std::vector<OpenedModel> models;
  for (const std::string& name : options.models) {
    TRY(OpenedModel model, OpenModel(name, shared.quiet));
    models.push_back(std::move(model));
  }
  TRY(const RuntimeSettings settings, ToSettings(options.runtime));
  Progress progress(shared.quiet);
  Json document = {{"schema", "trimma.measure/1"},
                   {"model", StoredPath(models[0])},
                   {"settings", ToJson(settings)},
                   {"speed", nullptr},
                   {"quality", nullptr}};
  // A card is left out of it.
  if (server == nullptr && !through.choice.why.empty()) document["why_own"] = through.choice.why;
  Json all = Json::array();
  std::string text;
  for (size_t i = 0; i < models.size(); ++i) {
    all.push_back({{"name", options.models[i]}, {"path", StoredPath(models[i])}});
    text += fmt::format("{} ({}, {})\n", DisplayName(models[i]), TypeLabel(models[i].file),
                        FormatBytes(models[i].file.file_bytes));
  }
  // Quality first: what is wrong with the text or the reference is found before anyone waits for
  // speed.
  std::string quality_text;
  Status status;
  if (quality) {
    TRY(const NamedJudgement named, Judge(options, models, settings, progress));
    TRY(const QualityOptions asked, ToQualityOptions(options, models[0].file));
    if (options.kv_quality.empty()) {
      document["quality"] = ToJson(named.judgement.qualities[0]);
      for (size_t i = 0; i < models.size(); ++i)
        all[i]["quality"] = ToJson(named.judgement.qualities[i]);
    } else {
      document["kv_quality"] = CacheDocument(named, options, models);
    }
    document.update(JudgementFields(named));
    quality_text = Describe(named, asked.questions);
    status = StatusOf(named, asked.questions);
  }
  if (speed) {
    SpeedOptions speed_options = options.speed_options;
    speed_options.processes = std::min(speed_options.rounds, options.processes);
    speed_options.depth = options.depth.value_or(0);
    std::vector<SpeedSubject> subjects;
    for (const OpenedModel& model : models) subjects.push_back({model.local.path, settings});
    const auto tell = [&](double share) { progress.Update("measuring speed", share); };
    if (server == nullptr && subjects.size() > 1) {
      TRY(const Site site, SiteOf(ScanMachine()));
      LoadAsCardsHold(subjects, site, speed_options);
    }
    if (server != nullptr) {
      TRY(const ServerArguments words, ServerArgumentsFor(*server, subjects[0].path, settings));
      document["through"] = ServerThroughJson(through, words.words, words.notes);
      text += fmt::format("through llama-server {} at {}\n", SafeText(server->version),
                          SafeText(server->path));
      for (const std::string& note : words.notes) text += fmt::format("note: {}\n", note);
    }
    TRY(const auto trials, server == nullptr
                               ? MeasureSpeed(subjects, speed_options, tell)
                               : LlamaServerMeter(*server, {})(subjects, speed_options, tell));
    const bool none = std::all_of(trials.begin(), trials.end(),
                                  [](const SpeedTrial& trial) { return trial.error.has_value(); });
    if (server != nullptr && none && !quality) return *trials[0].error;
    for (size_t i = 0; i < trials.size(); ++i) {
      // The quality that was measured is not lost for it.
      if (trials[i].error) {
        all[i]["error"] = ErrorToJson(*trials[i].error);
        status = *trials[i].error;
        continue;
      }
      all[i]["speed"] = ToJson(trials[i].speed);
      if (models.size() > 1) text += fmt::format("\n{}\n", SafeText(options.models[i]));
      text += Describe(trials[i].speed);
      const std::string fewer =
          server == nullptr ? "" : FewerStarts(trials[i].speed, speed_options);
      if (fewer.empty()) continue;
      text += fmt::format("note: {}\n", fewer);
      document["through"]["notes"].push_back(fmt::format("{}: {}", options.models[i], fewer));
    }
    if (!trials[0].error) document["speed"] = ToJson(trials[0].speed);
  }
  document["models"] = std::move(all);
  progress.Done();
  TRY_STATUS(PrintAndRemember(document, text + quality_text, shared.json, StoredPath(models[0])));
  return status;
}

void AddQualityOptions(CLI::App& app, MeasureFlags& o) {
  app.add_option("--text", o.text, "Judge on this text (default: text the reference generates)");
  app.add_option("--prompts", o.prompts,
                 "Judge on the reference's answers to these prompts: a file with one a line, or "
                 "parted by lines ---");
  app.add_option("--chunk", o.chunk, "Tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(16, 1 << 20));
  app.add_option("--chunks", o.chunks, "At most so many chunks (0: all)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--score", o.score, "half: the second half of each chunk; all")
      ->check(CLI::IsMember({"half", "all"}))
      ->capture_default_str();
  app.add_option("--kv-quality", o.kv_quality,
                 "Judge KV-cache types of MODEL, K and V apart: q8_0,q4_0")
      ->delimiter(',');
  app.add_option("--depth", o.depth,
                 "Tokens in the context before what is measured, quality and speed (with "
                 "--kv-quality: 4096, or the model's context)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--last", o.last, "Tokens that are scored at that depth, of each chunk")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 20));
  app.add_option("--max-kld", o.max_kld,
                 "Stop when it is settled whether the mean divergence is below this; ends with 5 "
                 "unless it is")
      ->check(CLI::PositiveNumber);
  app.add_flag("--better", o.better, "Stop when it is settled which of the models loses least");
  app.add_option("--precision", o.precision,
                 "Stop when the mean is known within this share (5%); ends with 3 where the text "
                 "is too short for it");
  app.add_option("--budget", o.budget_seconds, "Begin no new chunk after so many seconds")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

}  // namespace

Action DefineMeasure(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<MeasureFlags>();
  o->speed_options.rounds = 2 * kSpeedProcesses;
  app.add_option("MODEL", o->models, "A model file or name; several are judged side by side")
      ->required();
  app.add_option("--against", o->against, "The reference: the model this one was made from");
  app.add_flag("--speed", o->speed, "Measure speed (with --quality: both)");
  app.add_flag("--quality", o->quality, "Measure quality against the reference");
  AddQualityOptions(app, *o);
  app.add_option("--prompt-tokens", o->speed_options.prompt_tokens,
                 "Prompt of the speed measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--decode-tokens", o->speed_options.decode_tokens, "Tokens decoded in it")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--processes", o->processes,
                 "Processes that the rounds are divided among; each gives one figure")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--rounds", o->speed_options.rounds, "At most so many repeats")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--loads", o->speed_options.load_repeats, "Loads that are timed (0: none)")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_option("--context", o->runtime.context,
                 "With --speed: context length that loading, and a card, must have room for")
      ->check(CLI::Range(1, 1 << 30));
  AddRuntimeOptions(app, o->runtime);
  AddThroughOptions(app, o->through);
  return [o, &app, &shared]() -> Status {
    ThroughQuestion question;
    question.options = o->through;
    question.models = o->models;
    question.runtime = o->runtime;
    if (!AsksSpeed(*o)) question.own_alone = "only it measures quality";
    question.not_of_ollama = FirstGiven(
        app, {"--text", "--prompts", "--chunk", "--chunks", "--score", "--depth", "--last",
              "--max-kld", "--better", "--precision", "--budget", "--processes", "--loads"});
    // Said in a sentence of its own where Ollama was named.
    if (o->through.name.empty() && question.not_of_ollama.empty())
      question.not_of_ollama = FirstGiven(app, {"--quality", "--against", "--kv-quality"});
    question.not_of_server = FirstGiven(app, {"--depth", "--loads"});
    TRY(const DecidedThrough through, DecideThrough(question, shared.quiet));
    return RunMeasure(*o, through, shared);
  };
}

}  // namespace trimma
