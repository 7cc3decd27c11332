#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "cli/command.h"
#include "cli/optimize.h"
#include "cli/optimize_ollama.h"
#include "cli/records.h"
#include "cli/remember.h"
#include "report/json_document.h"
#include "report/page.h"

namespace trimma {
namespace {

struct OptimizeFlags : OptimizeOptions {
  std::optional<std::string> ollama;
};

// The record in its two places, with what became of it in Ollama.
Status KeepWithOllama(const OptimizeRecord& record, const AppliedText& shown, Json& document) {
  document["ollama"] = ModelJson(shown);
  TRY_STATUS(WriteFileAtomically(record.files.record, DumpDocument(document)));
  TRY_STATUS(KeepRecord(document, record.created));
  return {};
}

Status RunOptimize(const OptimizeFlags& options, const Shared& shared) {
  TRY(const OllamaGoal goal, ChooseOllamaGoal(options.model, options.ollama));
  Progress progress(shared.quiet);
  TRY(const OptimizeRecord record, Optimize(options, progress));
  TRY(const std::string text, ReadSmallFile(record.files.record));
  Json document = Json::parse(text);
  std::string in_ollama = goal.note.empty() ? "" : goal.note + "\n";
  Status status;
  if (goal.any()) {
    // The work that was done is shown, whatever Ollama says.
    const auto made = MakeOllamaGoal(record, goal, std::max(6.0, options.seconds / 4), progress);
    status = made.ok() ? KeepWithOllama(record, *made, document) : Status(made.error());
    if (made.ok())
      in_ollama = DescribeModel(*made) + (made->made ? "undo     trimma apply --undo\n" : "");
  }
  TRY_STATUS(PrintAndRemember(document, RenderSummary(record) + in_ollama, shared.json,
                              record.model_path));
  return status;
}

}  // namespace

Action DefineOptimize(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<OptimizeFlags>();
  app.add_option("MODEL", o->model, "A model file or name")->required();
  app.add_option("--source", o->source,
                 "A better original of the same model to quantise from (F16 or BF16)");
  app.add_option("-o,--output", o->output,
                 "A directory for what is written (default ./MODEL-trimma)");
  app.add_option("--mmproj", o->projector,
                 "A vision or audio projector that stays beside the model, or none (default: the "
                 "one in the model's store)");
  app.add_option("--text", o->text,
                 "Judge quality on this text (default: text the model generates, half of it going "
                 "on from --calibration)");
  app.add_option("--calibration", o->calibration,
                 "Collect importance data from this text (default: generated)");
  app.add_option("--context", o->context, "Context length (default: the plan's)");
  app.add_option("--gpu", o->gpu, "none leaves the graphics cards out (default: as the plan says)")
      ->check(CLI::IsMember({"none"}));
  app.add_option("--max-kld", o->max_kld, "Largest mean KL divergence of a new quantisation, nats")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--profile", o->profile,
                 "Sampling: precise, balanced, creative, or model (its own recommendation)")
      ->capture_default_str();
  app.add_option("--seconds", o->seconds, "Time for measuring; more gives narrower intervals")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 86400.0));
  app.add_option("--ollama", o->ollama,
                 "The model to make in the running Ollama, or none (default: NAME-trimma beside a "
                 "model of Ollama's)");
  return [o, &shared] { return RunOptimize(*o, shared); };
}

}  // namespace trimma
