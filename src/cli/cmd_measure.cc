#include <fmt/format.h>

#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/keep_quality.h"
#include "cli/runtime_options.h"
#include "measure/quality.h"
#include "measure/speed.h"

namespace trimma {
namespace {

// The fewest of which the smallest and largest figure hold the median with 99 %: what processes
// differ by comes in waves, which costs an interval some of that (docs/measuring.md).
constexpr int kSpeedProcesses = 8;

struct Options {
  std::string model;
  std::string against;
  bool speed = false;
  bool quality = false;
  std::string text;
  int chunk = 512;
  int chunks = 0;
  std::string score = "half";
  SpeedOptions speed_options;
  int processes = kSpeedProcesses;
  RuntimeOptions runtime;
};

std::string SpreadText(const Spread& s, const char* unit) {
  return fmt::format("{:.1f} {} (95 %: {:.1f} to {:.1f}, {} runs)", s.median, unit, s.low, s.high,
                     s.n);
}

std::string Describe(const Speed& s) {
  return fmt::format(
      "prefill              {}\ndecode               {}\ntime to first token  {} for {} prompt "
      "tokens\nload                 {:.0f} ms\n",
      SpreadText(s.prefill_tps, "tok/s"), SpreadText(s.decode_tps, "tok/s"),
      SpreadText(s.ttft_ms, "ms"), s.prompt_tokens, s.load_ms.median);
}

std::string Describe(const Quality& q) {
  return fmt::format(
      "mean KL divergence   {:.6f} nats (95 %: {:.6f} to {:.6f})\n99 % / 99.9 % KLD    {:.5f} / "
      "{:.5f}\nsame top token       {:.2f} %\n"
      "perplexity           {:.4f} (reference {:.4f})\njudged on            {} tokens of {} chunks "
      "of {} ({} scored): {}\n",
      q.mean_kld, q.mean_kld_low, q.mean_kld_high, q.p99_kld, q.p999_kld, 100 * q.same_top, q.ppl,
      q.reference_ppl, q.tokens, q.chunks, q.chunk, q.score == "half" ? "second half" : "all",
      SafeText(q.text));
}

Result<Quality> Judge(const Options& options, const OpenedModel& model,
                      const RuntimeSettings& settings, Progress& progress) {
  TRY(const OpenedModel reference, OpenModel(options.against));
  QualityOptions quality;
  if (!options.text.empty()) quality.text_file = options.text;
  quality.chunk = options.chunk;
  quality.chunks = options.chunks;
  quality.score_all = options.score == "all";
  TRY(const auto measured,
      MeasureQuality({reference.local.path, ReferenceSettings(settings)},
                     {{model.local.path, settings}}, quality,
                     [&](double share) { progress.Update("measuring quality", share); }));
  KeepQuality(reference.file, {model.file, settings, MadeWithImportance(model.file)}, measured[0],
              progress);
  return measured[0];
}

Status RunMeasure(const Options& options, const Shared& shared) {
  const bool quality = options.quality || (!options.speed && !options.against.empty());
  const bool speed = options.speed || !options.quality;
  if (quality && options.against.empty()) {
    return Error{Code::kUsage, "quality is a divergence from a reference, and none is named",
                 "add --against FILE, the model this one was made from"};
  }
  TRY(const OpenedModel model, OpenModel(options.model));
  TRY(const RuntimeSettings settings, ToSettings(options.runtime));
  Progress progress(shared.quiet);
  Json document = {{"schema", "trimma.measure/1"},
                   {"model", model.local.path},
                   {"settings", ToJson(settings)},
                   {"speed", nullptr},
                   {"quality", nullptr}};
  std::string text = fmt::format("{} ({}, {})\n", DisplayName(model), TypeLabel(model.file),
                                 FormatBytes(model.file.file_bytes));
  // Quality first: what is wrong with the text or the reference is found before anyone waits for
  // speed.
  std::string quality_text;
  if (quality) {
    TRY(const Quality measured, Judge(options, model, settings, progress));
    document["quality"] = ToJson(measured);
    quality_text = Describe(measured);
  }
  if (speed) {
    SpeedOptions speed_options = options.speed_options;
    speed_options.processes = std::min(speed_options.rounds, options.processes);
    TRY(const auto trials,
        MeasureSpeed({{model.local.path, settings}}, speed_options,
                     [&](double share) { progress.Update("measuring speed", share); }));
    if (trials[0].error) return *trials[0].error;
    document["speed"] = ToJson(trials[0].speed);
    text += Describe(trials[0].speed);
  }
  progress.Done();
  return shared.json ? PrintDocument(document) : PrintText(text + quality_text);
}

}  // namespace

Action DefineMeasure(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model file or name")->required();
  app.add_option("--against", o->against, "The reference: the model this one was made from");
  app.add_flag("--speed", o->speed, "Measure speed (with --quality: both)");
  app.add_flag("--quality", o->quality, "Measure quality against the reference");
  app.add_option("--text", o->text, "Judge on this text (default: text the reference generates)");
  app.add_option("--chunk", o->chunk, "Tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(16, 1 << 20));
  app.add_option("--chunks", o->chunks, "At most so many chunks (0: all)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--score", o->score, "half: the second half of each chunk; all")
      ->check(CLI::IsMember({"half", "all"}))
      ->capture_default_str();
  app.add_option("--prompt-tokens", o->speed_options.prompt_tokens,
                 "Prompt of the speed measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--decode-tokens", o->speed_options.decode_tokens, "Tokens decoded in it")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--depth", o->speed_options.depth, "Tokens in the context before both")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--processes", o->processes,
                 "Processes that the rounds are divided among; each gives one figure")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--rounds", o->speed_options.rounds, "At most so many repeats")
      ->capture_default_str()
      ->check(CLI::Range(3, 10000));
  AddRuntimeOptions(app, o->runtime);
  return [o, &shared] { return RunMeasure(*o, shared); };
}

}  // namespace trimma
