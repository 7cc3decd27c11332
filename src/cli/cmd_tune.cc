#include <fmt/format.h>

#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/remember.h"
#include "cli/runtime_options.h"
#include "hardware/machine.h"
#include "plan/plan.h"
#include "report/table.h"
#include "tune/tune.h"

namespace trimma {
namespace {

struct Options {
  std::string model;
  std::string text;
  RuntimeOptions runtime;
  TuneOptions tune;
};

std::string Describe(const TuneResult& result) {
  TextTable table{{"settings", "prefill tok/s", "decode tok/s", "time, default = 1", "verdict"},
                  {}};
  const auto row = [&](const std::string& what, const Speed& speed, const std::string& time,
                       const std::string& verdict) {
    table.rows.push_back({what, fmt::format("{:.1f}", speed.prefill_tps.median),
                          fmt::format("{:.1f}", speed.decode_tps.median), time, verdict});
  };
  row("default", result.default_speed, "1.000", "");
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
  text += fmt::format("\n{}\n", result.verdict);
  if (!(result.best_settings == result.default_settings)) {
    text += fmt::format(
        "best: threads {}, ubatch {}, flash attention {}, KV cache {}\n",
        result.best_settings.threads ? std::to_string(*result.best_settings.threads) : "default",
        result.best_settings.ubatch, NameOf(result.best_settings.flash_attention),
        result.best_settings.kv_k);
  }
  return text + fmt::format("in {}\n", FormatSeconds(result.seconds));
}

Status RunTune(Options options, const Shared& shared) {
  TRY(const OpenedModel model, OpenModel(options.model));
  TRY(options.tune.defaults, ToSettings(options.runtime));
  if (!options.text.empty()) options.tune.text_file = options.text;
  const Machine machine = Probe();
  options.tune.trained_context = TrainedContext(model.file);
  options.tune.cores = machine.cpu.cores;
  options.tune.threads = machine.cpu.threads;
  if (const auto earlier = FindEarlierRun("tune", model.local.path); earlier && !shared.quiet)
    fmt::print(stderr, "{}\n", earlier->Text());
  Progress progress(shared.quiet);
  auto result = Tune(model.local.path, options.tune, [&](const std::string& stage, double share) {
    progress.Update(stage, share);
  });
  progress.Done();
  if (!result.ok()) return result.error();
  Json document = ToJson(*result);
  Remember(document, model.local.path);
  return shared.json ? PrintDocument(document) : PrintText(Describe(*result));
}

}  // namespace

Action DefineTune(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model file or name")->required();
  app.add_option("--budget", o->tune.budget_seconds, "Seconds for measuring")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 86400.0));
  app.add_option("--prompt-tokens", o->tune.prompt_tokens, "Length of a typical prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--answer-tokens", o->tune.answer_tokens, "Length of a typical answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--text", o->text, "Judge a quantised KV cache on this text (default: generated)");
  AddRuntimeOptions(app, o->runtime);
  return [o, &shared] { return RunTune(*o, shared); };
}

}  // namespace trimma
