#include "cli/optimize.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/applying.h"
#include "cli/candidates.h"
#include "cli/card_placing.h"
#include "cli/keep_quality.h"
#include "cli/machine.h"
#include "cli/optimize_record.h"
#include "cli/optimize_time.h"
#include "cli/output_folder.h"
#include "cli/overheads.h"
#include "cli/records.h"
#include "cli/remember.h"
#include "cli/steps.h"
#include "cli/stored_outputs.h"
#include "cli/tune_or_keep.h"
#include "plan/pricing.h"
#include "quantize/quantize.h"
#include "report/json_document.h"
#include "report/page.h"
#include "tune/tune.h"

namespace trimma {
namespace {

// The state of one run, handed from step to step.
struct Run {
  const OptimizeOptions& options;
  Progress& progress;
  OptimizeRecord record;
  OpenedModel model;   // as the user named it
  OpenedModel source;  // to quantise from: the model itself, or --source
  Site site;
  Planned planned;                    // of the source
  std::optional<GgufFile> projector;  // that stays beside the model
  RuntimeSettings defaults;           // where each file's layers go is its own
  OutputFolder folder;
  Json raw = Json::object();
};

uint64_t Total(const std::vector<DeviceBytes>& devices) {
  uint64_t sum = 0;
  for (const DeviceBytes& device : devices) sum += device.total_bytes();
  return sum;
}

std::string Now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

Status Open(Run& run) {
  TRY(run.model, OpenModel(run.options.model, run.progress.quiet()));
  run.source = run.model;
  if (!run.options.source.empty()) {
    TRY(run.source, OpenModel(run.options.source, run.progress.quiet()));
  }
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(StoredPath(run.model), error).string();
  TRY(run.folder, OpenOutputFolder(run.options.output.empty() ? StemOf(run.model) + "-trimma"
                                                              : run.options.output));
  TRY(run.projector, OpenProjector(run.model, run.options.projector));
  // One in the model's own file is written later.
  if (run.projector && run.projector->paths[0] != StoredPath(run.model)) {
    const std::filesystem::path path = run.projector->paths[0];
    run.record.files.projector = std::filesystem::absolute(path, error).string();
  }
  run.record.model_name = DisplayName(run.model);
  run.record.model_argument = run.options.model;
  run.record.model_path = absolute;
  run.record.architecture = SafeText(run.model.file.architecture());
  run.record.parameters = run.model.file.parameters();
  TRY(run.record.sampling, ChooseSampling(run.model.file, run.options.profile));
  return {};
}

Status MakeThePlan(Run& run) {
  MachineScan& scan = run.site.scan;
  scan = ScanMachine();
  if (!scan.machine.memory.bandwidth_bytes_per_s) BenchMachine(scan);
  run.record.machine = scan.machine;
  if (run.options.gpu.empty()) {
    const Status learned = LearnNewCards(run.source.file, scan.machine.gpus, [&](double share) {
      run.progress.Update("learning what the card's driver takes", share);
    });
    if (!learned.ok()) {
      run.record.notes.push_back(fmt::format(
          "what the card's driver takes could not be learned: {}", learned.error().what));
    }
  }
  PlanOptions options;
  if (run.options.context) {
    options.contexts = UsualContexts(TrainedContext(run.source.file));
    if (std::find(options.contexts.begin(), options.contexts.end(), *run.options.context) ==
        options.contexts.end()) {
      options.contexts.push_back(*run.options.context);
    }
  }
  TargetOptions where;
  if (!run.options.gpu.empty()) where.gpus = {run.options.gpu};
  TRY(run.site.target, ChooseTarget(scan.machine, where));
  run.site.target.pricing.projector = run.projector;
  TRY(run.planned, MakePlanFor(run.source.file, scan, run.site.target, options));
  const Plan& plan = run.planned.plan;
  if (plan.refusal) return *plan.refusal;
  const PlanCell& cell = plan.cells[*plan.recommended];
  run.defaults.context = run.options.context.value_or(cell.settings.context);
  if (!scan.machine.gpus.empty()) run.defaults.use_gpu = cell.settings.use_gpu;
  return {};
}

Result<Outcome> Describe(const Run& run, const GgufFile& file, const RuntimeSettings& settings,
                         const std::string& label) {
  Outcome outcome;
  outcome.label = label;
  outcome.type = TypeLabel(file);
  outcome.file_bytes = file.file_bytes;
  outcome.bits_per_weight = file.bits_per_weight();
  outcome.settings = settings;
  PricingTarget target;
  target.projector = run.projector;
  TRY(const auto devices, PriceSettings(file, settings, target));
  outcome.memory_bytes = Total(devices);
  return outcome;
}

// The source's own point of the plot; it is the chosen one while no other is.
void FillReferencePoint(Run& run, const Speed& speed) {
  const GgufFile& file = run.source.file;
  run.record.points.push_back({TypeLabel(file), file.file_bytes, speed.decode_tps.median,
                               speed.prefill_tps.median, std::nullopt, 0, 0, false});
}

std::string ModelFileOf(const Run& run, const std::string& type) {
  return fmt::format("{}/{}-{}.gguf", run.folder.path, StemOf(run.source), type);
}

// An unquantised source: several types are made and measured, the smallest that loses little enough
// is kept.
Status QuantiseByMeasurement(Run& run, Steps& steps) {
  CandidateOptions options;
  options.source = run.source.local.path;
  options.directory = run.folder.work;
  options.settings = run.defaults;
  options.site = run.site;
  options.text = run.options.text;
  options.calibration = run.options.calibration;
  options.recipes = RecipesToTry(run.source.file, run.planned, run.defaults.context);
  if (options.recipes.empty())
    return Error{Code::kNoFit, fmt::format("no type fits at a context of {}", run.defaults.context),
                 "choose a shorter --context"};
  for (const auto* recipe : options.recipes)
    TRY_STATUS(CheckMayReplace(run.folder, ModelFileOf(run, recipe->name)));
  options.trained_context = TrainedContext(run.source.file);
  options.seconds = kCandidatesShare * run.options.seconds;
  TRY(const Candidates measured, MakeCandidates(options, run.progress));
  const std::vector<Candidate>& candidates = measured.made;
  if (!measured.source_note.empty())
    run.record.notes.push_back(fmt::format("the source: {}", measured.source_note));
  steps.End("quantise and judge");
  FillReferencePoint(run, measured.source_speed);
  const auto chosen = ChooseCandidate(candidates, run.options.max_kld);
  std::string tried;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    run.record.points.push_back({c.recipe->name, c.file_bytes, c.speed.decode_tps.median,
                                 c.speed.prefill_tps.median, c.quality.mean_kld,
                                 c.quality.mean_kld_low, c.quality.mean_kld_high, chosen == i});
    run.raw["candidates"].push_back({{"type", c.recipe->name},
                                     {"file_bytes", c.file_bytes},
                                     {"quality", ToJson(c.quality)},
                                     {"speed", ToJson(c.speed)},
                                     {"notes", c.notes}});
    tried +=
        fmt::format("{}{} {:.4f}", tried.empty() ? "" : ", ", c.recipe->name, c.quality.mean_kld);
  }
  if (!chosen) {
    return Error{Code::kGate,
                 fmt::format("no type stays under a mean KL divergence of {} (measured: {})",
                             run.options.max_kld, tried),
                 "raise --max-kld, or keep the model as it is"};
  }
  const Candidate& best = candidates[*chosen];
  run.record.files.model = ModelFileOf(run, best.recipe->name);
  if (rename(best.path.c_str(), run.record.files.model.c_str()) != 0)
    return ErrnoError("publish", run.record.files.model, errno);
  run.record.after.quality = best.quality;
  run.record.quality_text = best.quality.text;
  for (const std::string& note : best.notes)
    run.record.notes.push_back(fmt::format("{}: {}", best.recipe->name, note));
  run.record.weights_verdict = fmt::format(
      "Quantised to {}: of {} types made and measured, the fastest for a prompt of {} and an "
      "answer of 128 tokens whose mean KL divergence from "
      "the source stays under {} nats ({:.4f}, 95 %: {:.4f} to {:.4f}); the smallest where several "
      "are as fast.",
      best.recipe->name, candidates.size(), best.speed.prompt_tokens, run.options.max_kld,
      best.quality.mean_kld, best.quality.mean_kld_low, best.quality.mean_kld_high);
  return {};
}

// A quantised source: kept, unless the plan needs something smaller to fit.
Status KeepOrLower(Run& run, Steps& steps) {
  const PlanCell& cell = run.planned.plan.cells[*run.planned.plan.recommended];
  const Mix& mix = run.planned.pricing.mixes[cell.mix];
  if (mix.recipe == nullptr) {
    run.record.files.model = run.record.model_path;
    run.record.weights_verdict = fmt::format("The weights are kept: {}.", run.planned.plan.reason);
    return {};
  }
  QuantizeOptions quantize;
  quantize.source = run.source.local.path;
  quantize.recipe = mix.recipe;
  quantize.force = true;
  quantize.calibration_text = run.options.calibration;
  quantize.generate_text = !run.options.calibration;
  quantize.output = ModelFileOf(run, mix.recipe->name);
  TRY_STATUS(CheckMayReplace(run.folder, quantize.output));
  TRY(const QuantizeReport report, Quantize(quantize, [&](const std::string& stage, double share) {
        run.progress.Update(stage, share);
      }));
  run.record.files.model = report.output;
  run.record.weights_verdict = fmt::format(
      "Lowered to {}: {}. The source was quantised already; its own loss stays, and an F16 "
      "original (--source) would "
      "make a better file of this size.",
      mix.recipe->name, run.planned.plan.reason);
  for (const std::string& note : report.notes) run.record.notes.push_back(note);
  steps.End("quantise");
  return {};
}

Status MeasureAndTune(Run& run, Steps& steps) {
  const bool same_weights = run.record.weights_kept();
  TRY(const GgufFile after_file, ReadGguf(run.record.files.model));
  TRY(const CardPlacing placing, PlacedForMeasuring(after_file, run.site, run.defaults));
  CardPlacing placed_before = placing;
  if (!same_weights) {
    TRY(placed_before, PlacedForMeasuring(run.model.file, run.site, run.defaults));
  }
  const std::string note = fmt::format("{}: {}", TypeLabel(after_file), placing.note);
  std::vector<std::string>& notes = run.record.notes;
  // A type that was chosen among several has said so already.
  if (!placing.note.empty() && std::find(notes.begin(), notes.end(), note) == notes.end())
    notes.push_back(note);
  TuneOptions tune;
  tune.defaults = placing.settings;
  tune.other = placing.other;
  const OtherSteps others = {run.record.after.quality.has_value(), run.options.text.has_value(),
                             same_weights};
  tune.budget_seconds = TuningShare(others) * run.options.seconds;
  tune.cores = run.record.machine.cpu.cores;
  tune.threads = run.record.machine.cpu.threads;
  tune.text_file = run.options.text;
  tune.trained_context = TrainedContext(run.model.file);
  tune.has_gpu = !run.record.machine.gpus.empty();
  tune.available_bytes = run.record.machine.memory.available_bytes;
  TRY(const KeptOrTuned found, TuneOrKeep(run.record.files.model, tune, run.progress));
  const TuneResult& tuned = found.result;
  if (found.why_kept) run.record.notes.push_back(*found.why_kept);
  run.raw["tune"] = ToJson(tuned);
  for (const TuneTrialResult& trial : tuned.trials)
    run.record.trials.push_back(ToTrial(trial, tuned.default_speed));
  run.record.tuning_verdict = fmt::format("Settings: {}.", tuned.verdict);
  steps.End("tune");

  TRY(Outcome before, Describe(run, run.model.file, placed_before.settings,
                               fmt::format("{}, engine's defaults", TypeLabel(run.model.file))));
  TRY(Outcome after, Describe(run, after_file, tuned.best_settings,
                              fmt::format("{}, tuned", TypeLabel(after_file))));
  after.quality = run.record.after.quality;
  after.speed = tuned.best_speed;
  if (same_weights) {
    before.speed = tuned.default_speed;
    FillReferencePoint(run, after.speed);
    run.record.points.back().chosen = true;
  } else {
    // Side by side: the sentence "so much faster" compares these two.
    SpeedOptions speed;
    speed.budget_seconds = kSideBySideShare * run.options.seconds;
    speed.rounds = 2 * kSpeedProcesses;
    speed.processes = kSpeedProcesses;
    const std::vector<SpeedSubject> subjects = {{run.model.local.path, placed_before.settings},
                                                {run.record.files.model, tuned.best_settings}};
    LoadAsCardsHold(subjects, run.site, speed);
    TRY(const auto trials, MeasureSpeed(subjects, speed, [&](double share) {
          run.progress.Update("measuring before and after", share);
        }));
    for (const SpeedTrial& trial : trials) {
      if (trial.error) return *trial.error;
    }
    before.speed = trials[0].speed;
    after.speed = trials[1].speed;
    steps.End("measure before and after");
  }
  run.record.before = std::move(before);
  run.record.after = std::move(after);
  return {};
}

// Weights kept: the settings may still change the answers (KV-cache type, order of sums), so it is
// measured.
Status JudgeSettings(Run& run, Steps& steps) {
  if (run.record.after.quality) return {};
  QualityOptions quality;
  quality.text_file = run.options.text;
  quality.own_text = run.options.calibration;
  quality.chunks = 8;
  quality.chunk = JudgingChunk(TrainedContext(run.model.file));
  quality.generate_seconds = kJudgingTextShare * run.options.seconds;
  quality.budget_seconds = kJudgingShare * run.options.seconds;
  const Judged reference = {run.model.local.path, ReferenceSettings(run.record.before.settings)};
  const Judged outcome = {run.record.files.model, run.record.after.settings};
  const auto result = MeasureQuality(reference, {outcome}, quality, [&](double share) {
    run.progress.Update("measuring quality", share);
  });
  if (!result.ok() && result.error().code == Code::kNoFit && !run.record.machine.gpus.empty() &&
      outcome.settings.use_gpu && IsSameOnHost(reference, outcome)) {
    run.record.notes.emplace_back(
        "quality was not measured: the graphics cards don't hold the model under both settings at "
        "once, and on the host these would be one and the same");
    steps.End("measure quality");
    return {};
  }
  if (!result.ok()) return result.error();
  const std::vector<Quality>& measured = *result;
  run.record.after.quality = measured[0];
  const RuntimeSettings& after = run.record.after.settings;
  if (!run.record.weights_kept() || !(after.kv_k == "f16" && after.kv_v == "f16")) {
    TRY(const GgufFile judged, ReadGguf(run.record.files.model));
    const bool lowered = !run.record.weights_kept();
    KeepQuality(run.model.file, {judged, after, lowered}, measured[0], run.progress);
  }
  run.record.quality_text = measured[0].text;
  steps.End("measure quality");
  return {};
}

Status WriteFiles(Run& run) {
  WrittenFiles& files = run.record.files;
  const std::string d = run.folder.path + "/";
  files.config = d + "config.toml";
  files.modelfile = d + "Modelfile";
  files.env = d + "ollama.env";
  files.llama_server = d + "llama-server.ini";
  files.report = d + "report.html";
  files.record = d + "record.json";
  files.undo = UndoCommands(run.folder, files);
  for (const std::string& note : NotesOnOllama(run.record.after.settings))
    run.record.notes.push_back(note);
  TRY(const auto changes, PlanChanges(AppliedFrom(run.record), {files.config, files.modelfile,
                                                                files.env, files.llama_server}));
  for (const FileChange& change : changes)
    TRY_STATUS(WriteFileAtomically(change.target, change.after));
  Json document = ToJson(run.record);
  document["measurements"] = run.raw;
  document["provenance"] = ToJson(ProvenanceNow(run.record.model_path));
  TRY_STATUS(WriteFileAtomically(files.record, DumpDocument(document)));
  TRY_STATUS(WriteFileAtomically(files.report, RenderPage(run.record)));
  const auto kept = KeepRecord(document, run.record.created);
  if (!kept.ok())
    run.record.notes.push_back(
        fmt::format("the record is not kept for `trimma apply`: {}", kept.error().what));
  return {};
}

// Another program may have taken memory since the plan was made. Then the plan is made anew, and
// said so.
Status PlanAgainIfMemoryWent(Run& run) {
  const Machine now = ScanMachine().machine;
  const auto gone = MemoryGone(run.record.machine, now);
  if (!gone) return {};
  run.record.notes.push_back(*gone + "; the plan was made again");
  return MakeThePlan(run);
}

Status RunSteps(Run& run) {
  const auto start = Clock::now();
  Steps steps(run.record);
  TRY_STATUS(Open(run));
  TRY_STATUS(MakeThePlan(run));
  run.record.notes.insert(run.record.notes.begin(), run.site.scan.notes.begin(),
                          run.site.scan.notes.end());
  steps.End("scan and plan");
  TRY_STATUS(IsUnquantised(run.source.file) ? QuantiseByMeasurement(run, steps)
                                            : KeepOrLower(run, steps));
  TRY_STATUS(WriteStoredForms(run.source, run.folder.path, run.record, run.progress));
  TRY_STATUS(PlanAgainIfMemoryWent(run));
  TRY_STATUS(MeasureAndTune(run, steps));
  TRY_STATUS(JudgeSettings(run, steps));
  run.record.memory = MemoryRowsOf(run.planned.plan, run.record.after.type);
  run.record.seconds = SecondsSince(start);
  return WriteFiles(run);
}

}  // namespace

Result<OptimizeRecord> Optimize(const OptimizeOptions& options, Progress& progress) {
  Run run{options, progress};
  run.record.created = Now();
  run.record.trimma_version = build_info::kVersion;
  run.record.engine_version = build_info::kEngineVersion;
  run.record.engine_commit = build_info::kEngineCommit;
  run.record.engine_backends = build_info::kEngineBackends;
  const Status status = RunSteps(run);
  progress.Done();
  if (!run.folder.work.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(run.folder.work, ignored);
    // Without a record, another run would take it for another's.
    const std::string& model = run.record.files.model;
    if (!status.ok() && run.folder.fresh && model.starts_with(run.folder.path + "/"))
      std::filesystem::remove(model, ignored);
    if (!status.ok()) std::filesystem::remove(run.folder.path, ignored);  // only if it is empty
  }
  if (!status.ok()) return status.error();
  return std::move(run.record);
}

}  // namespace trimma
