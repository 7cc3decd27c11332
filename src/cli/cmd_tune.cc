#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/card_placing.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/machine.h"
#include "cli/remember.h"
#include "cli/runtime_options.h"
#include "cli/through.h"
#include "cli/through_ollama.h"
#include "cli/tune_llama_server.h"
#include "plan/plan.h"
#include "report/table.h"
#include "tune/recheck.h"
#include "tune/tune.h"

namespace trimma {
namespace {

struct TuneFlags {
  std::string model;
  std::string text;
  std::string budget = "3m";
  std::string purpose = "chat";
  std::optional<uint32_t> context;
  bool fresh = false;
  RuntimeOptions runtime;
  TuneOptions tune;
  ThroughOptions through;
  std::string draft;
  std::string prompts;
  bool max_kld_set = false;
};

// "90", "90s", "3m", "1h".
Result<double> ParseBudget(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const double seconds = unit.empty() || unit == "s" ? 1
                         : unit == "m"               ? 60
                         : unit == "h"               ? 3600
                                                     : 0;
  if (error != std::errc() || seconds == 0 || !(number > 0) || number * seconds > 86400) {
    return Error{Code::kUsage, fmt::format("--budget {}: no time up to a day", SafeText(text, 40)),
                 "write it as 90s, 3m or 1h"};
  }
  return number * seconds;
}

std::string Rate(const Spread& rate) {
  return rate.n == 0 ? "" : fmt::format("{:.1f}", rate.median);
}

std::string Describe(const TuneResult& result) {
  TextTable table{{"settings", "prefill tok/s", "decode tok/s", "time, default = 1", "verdict"},
                  {}};
  const auto row = [&](const std::string& what, const Speed& speed, const std::string& time,
                       const std::string& verdict) {
    table.rows.push_back({what, Rate(speed.prefill_tps), Rate(speed.decode_tps), time, verdict});
  };
  row("default", result.default_speed, "1.000", "");
  if (result.recheck && result.recheck->holds && result.trials.empty()) {
    row("best", result.best_speed, fmt::format("{:.3f}", 1 / result.gain.mean), "");
  }
  for (const TuneTrialResult& t : result.trials) {
    if (t.error) {
      table.rows.push_back(
          {t.variation.what, "", "", "", "failed: " + SafeText(t.error->what, 80)});
    } else {
      row(t.variation.what, t.speed,
          fmt::format("{:.3f} ({:.3f} to {:.3f})", 1 / t.gain.mean, 1 / t.gain.high,
                      1 / t.gain.low),
          NameOf(t.outcome));
    }
  }
  std::string text = RenderTable(table);
  for (const NotTried& item : result.not_tried)
    text += fmt::format("not tried: {}, since {}\n", item.what, item.why);
  for (const std::string& note : result.notes) text += fmt::format("note: {}\n", note);
  text += fmt::format("\n{}\n", result.verdict);
  if (!(result.best_settings == result.default_settings))
    text += fmt::format("best: {}\n", Difference(result.default_settings, result.best_settings));
  return text + fmt::format("in {}\n", FormatSeconds(result.seconds));
}

// On a card the defaults are what the planner says fits with the margin learned here; where not
// all does, other placements are tried.
Status PlaceAsPlanned(TuneOptions& tune, const OpenedModel& model, const MachineScan& scan) {
  TRY(const Site site, SiteOf(scan));
  TRY(const CardPlacing placing, PlaceOnCards(model.file, site, tune.defaults));
  const bool planned = !tune.defaults.gpu_layers;
  tune.defaults = placing.settings;
  tune.other = placing.other;
  // All, as without a number.
  if (planned && placing.whole) tune.defaults.gpu_layers.reset();
  return {};
}

bool ChangesCache(const RuntimeSettings& a, const RuntimeSettings& b) {
  return a.kv_k != b.kv_k || a.kv_v != b.kv_v;
}

bool HasChanged(const Staleness& staleness, const char* what) {
  return std::any_of(staleness.changes.begin(), staleness.changes.end(),
                     [&](const ProvenanceChange& change) { return change.what == what; });
}

// Whether an earlier result that rests on something that changed still holds. nullopt: it can't be
// checked by measuring its settings again, or that failed, and only a search tells.
std::optional<std::pair<FormerChoice, Recheck>> CheckEarlier(const EarlierRun& earlier,
                                                             const std::string& path,
                                                             const TuneOptions& options,
                                                             Progress& progress) {
  const Json document = Json::parse(earlier.entry.document, nullptr, /*allow_exceptions=*/false);
  auto former = FormerChoiceFrom(document, options);
  if (!former) return std::nullopt;
  // What a quantised cache loses was judged with another model.
  if (ChangesCache(former->settings, options.defaults) && HasChanged(earlier.staleness, "model"))
    return std::nullopt;
  auto recheck = RecheckChoice(path, *former, options, [&](double share) {
    progress.Update("measuring the former choice again", share);
  });
  progress.Done();
  if (!recheck.ok()) return std::nullopt;
  recheck->former_time = earlier.entry.time;
  for (const ProvenanceChange& change : earlier.staleness.changes)
    recheck->changes.push_back(change.sentence);
  return std::pair(std::move(*former), std::move(*recheck));
}

double SecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// The earlier result where it still holds; else a search, which keeps what was found of it.
Result<TuneResult> TuneOrRecheck(const OpenedModel& model, const TuneOptions& options, bool fresh,
                                 bool quiet) {
  const std::string& path = model.local.path;
  Progress progress(quiet);
  std::optional<Recheck> recheck;
  const auto earlier =
      fresh ? std::nullopt : FindEarlierRun("tune", StoredPath(model), [&](const Json& document) {
        return AsksTheSame(document, options);
      });
  if (earlier && !quiet) fmt::print(stderr, "{}\n", earlier->Text());
  if (earlier && earlier->staleness.stale()) {
    auto checked = CheckEarlier(*earlier, path, options, progress);
    TRY_STATUS(CheckInterrupted());
    if (checked && checked->second.holds) {
      TuneResult result = StillTrue(checked->first, options, checked->second);
      result.seconds = SecondsBetween(*options.begun, Clock::now());
      return result;
    }
    if (checked) recheck = std::move(checked->second);
    if (!quiet) {
      fmt::print(stderr, "{}: searching anew\n",
                 recheck ? "it no longer holds: " + recheck->sentence
                         : "its settings can't be checked by themselves");
    }
  }
  // The budget is of all together, but half of it is for the search.
  TuneOptions search = options;
  const auto half = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(options.budget_seconds / 2));
  search.begun = std::max(*options.begun, Clock::now() - half);
  auto result = Tune(
      path, search, [&](const std::string& stage, double share) { progress.Update(stage, share); });
  progress.Done();
  if (!result.ok()) return result;
  result->recheck = std::move(recheck);
  result->seconds += SecondsBetween(*options.begun, *search.begun);
  return result;
}

Status TuneThroughARunningOllama(const TuneFlags& options, const std::string& why,
                                 const Shared& shared) {
  OllamaTuning wish;
  wish.speed.models = {options.model};
  wish.speed.runtime = options.runtime;
  wish.speed.runtime.context = options.context;
  wish.speed.prompt_tokens = options.tune.prompt_tokens;
  wish.speed.seconds = options.tune.budget_seconds;
  wish.answer_tokens = options.tune.answer_tokens;
  const Machine machine = Probe();
  wish.cores = machine.cpu.cores;
  wish.threads = machine.cpu.threads;
  Progress progress(shared.quiet);
  TRY(const TuneResult result, TuneThroughOllama(wish, progress));
  Json document = ToJson(result);
  document["through"] = {{"name", NameOf(Through::kOllama)},
                         {"why", why.empty() ? Json() : Json(why)}};
  return PrintAndRemember(document, Describe(result), shared.json,
                          PathInStore(NameInOllamaOf(options.model)));
}

Status TuneThroughAServer(const TuneFlags& options, const OpenedModel& model,
                          const DecidedThrough& through, const Shared& shared) {
  LlamaServerTuning wish;
  wish.tune = options.tune;
  wish.draft = options.draft;
  wish.prompts = options.prompts;
  wish.may_judge_kv = options.max_kld_set;
  wish.gpu_layers_set = options.runtime.gpu_layers.has_value();
  wish.quiet = shared.quiet;
  Progress progress(shared.quiet);
  TRY(const LlamaServerTuned tuned,
      TuneThroughLlamaServer(
          model, *through.server, wish,
          [&](const std::string& stage, double share) { progress.Update(stage, share); }));
  progress.Done();
  return PrintAndRemember(ToJson(tuned, through),
                          Describe(tuned.result) + DescribeSpeculation(tuned), shared.json,
                          StoredPath(model));
}

Status RunTune(TuneFlags options, const DecidedThrough& through, const Shared& shared) {
  TuneOptions& tune = options.tune;
  TRY(tune.budget_seconds, ParseBudget(options.budget));
  if (through.choice.through == Through::kOllama)
    return TuneThroughARunningOllama(options, through.choice.why, shared);
  tune.purpose = options.purpose == "documents" ? TuneFor::kDocuments
                 : options.purpose == "batch"   ? TuneFor::kBatch
                                                : TuneFor::kChat;
  if (tune.users > 1 && tune.purpose != TuneFor::kBatch) {
    return Error{Code::kUsage, "--users counts only where all users' time together is asked for",
                 "add --for batch"};
  }
  TRY(const OpenedModel model, OpenModel(options.model, shared.quiet));
  TRY(tune.defaults, ToSettings(options.runtime));
  if (options.context) tune.defaults.context = *options.context;
  tune.trained_context = TrainedContext(model.file);
  if (!options.text.empty()) tune.text_file = options.text;
  tune.defaults.parallel = tune.users;
  // The slots share the context.
  const int64_t needed =
      int64_t{tune.users} * (tune.depth + tune.prompt_tokens + tune.answer_tokens);
  if (needed > tune.defaults.context) {
    if (options.context) {
      return Error{Code::kUsage,
                   fmt::format("{} tokens of context hold less than is to be measured: {}",
                               *options.context, needed),
                   "give a larger --context, or shorter prompts and answers"};
    }
    tune.defaults.context = static_cast<uint32_t>(needed);
  }
  const MachineScan scan = ScanMachine();
  if (through.server) {
    tune.cores = scan.machine.cpu.cores;
    tune.threads = scan.machine.cpu.threads;
    return TuneThroughAServer(options, model, through, shared);
  }
  tune.cores = scan.machine.cpu.cores;
  tune.threads = scan.machine.cpu.threads;
  tune.available_bytes = scan.machine.memory.available_bytes;
  tune.has_gpu = !scan.machine.gpus.empty();
  tune.machine = scan.machine.cpu.name;
  for (const Gpu& gpu : scan.machine.gpus) tune.machine += ", " + gpu.name;
  TRY_STATUS(PlaceAsPlanned(tune, model, scan));
  if (!StateDirectory().empty()) tune.journal_directory = StateDirectory() + "/tune";
  TRY(TuneResult result, TuneOrRecheck(model, tune, options.fresh, shared.quiet));
  if (!through.choice.why.empty()) result.notes.push_back(through.choice.why);
  const Json document = ToJson(result);
  return PrintAndRemember(document, Describe(result), shared.json, StoredPath(model));
}

}  // namespace

Action DefineTune(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<TuneFlags>();
  o->tune.begun = Clock::now();  // of the program
  app.add_option("MODEL", o->model, "A model file or name")->required();
  app.add_option("--for", o->purpose,
                 "chat: a prompt and its answer; documents: the prompt; batch: all users' together")
      ->check(CLI::IsMember({"chat", "documents", "batch"}))
      ->capture_default_str();
  app.add_option("--budget", o->budget, "Time for measuring: 90s, 3m")->capture_default_str();
  app.add_option("--prompt-tokens", o->tune.prompt_tokens, "Length of a typical prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--answer-tokens", o->tune.answer_tokens, "Length of a typical answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--depth", o->tune.depth, "Tokens that are in the context before the prompt")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--users", o->tune.users, "With --for batch: so many at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  app.add_option("--max-kld", o->tune.max_kv_kld,
                 "Mean KL divergence that a quantised KV cache may cost, in nats")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--text", o->text, "Judge a quantised KV cache on this text (default: generated)");
  app.add_option("--context", o->context, "Context length that memory is planned for");
  app.add_flag("--fresh", o->fresh,
               "Search anew, whatever was found before (default: where engine, driver, machine or "
               "model changed since, the former result is measured again first)");
  app.add_option("--seed", o->tune.seed, "Of the order in which settings are measured")
      ->capture_default_str();
  AddRuntimeOptions(app, o->runtime);
  app.add_option("--draft", o->draft,
                 "With --through llama-server: a small model of the same vocabulary, to guess "
                 "tokens ahead");
  app.add_option("--prompts", o->prompts,
                 "With --through llama-server: judge speculation on the answers to these (a file "
                 "with one a line, or parted by lines ---; default: four of ours)");
  AddThroughOptions(app, o->through);
  return [o, &app, &shared]() -> Status {
    o->max_kld_set = app.count("--max-kld") > 0;
    ThroughQuestion question;
    question.options = o->through;
    question.models = {o->model};
    question.runtime = o->runtime;
    question.not_of_ollama = FirstGiven(app, {"--for", "--depth", "--users", "--max-kld", "--text",
                                              "--fresh", "--seed", "--draft", "--prompts"});
    question.not_of_server = FirstGiven(app, {"--depth", "--users", "--fresh"});
    // A text to judge a quantised cache on, which is tried with --max-kld alone.
    if (!o->max_kld_set && question.not_of_server.empty())
      question.not_of_server = FirstGiven(app, {"--text"});
    TRY(const DecidedThrough through, DecideThrough(question, shared.quiet));
    const std::string of_server = FirstGiven(app, {"--draft", "--prompts"});
    if (!through.server && !of_server.empty()) {
      return Error{Code::kUsage, of_server + " is for --through llama-server",
                   "speculation is a setting of llama-server"};
    }
    return RunTune(*o, through, shared);
  };
}

}  // namespace trimma
