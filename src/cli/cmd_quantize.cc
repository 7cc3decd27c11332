#include <fmt/format.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/fit.h"
#include "cli/machine.h"
#include "cli/planning.h"
#include "cli/quantize_text.h"
#include "cli/remember.h"
#include "quantize/as_stored.h"
#include "quantize/craft_plan.h"
#include "quantize/quantize.h"

namespace trimma {
namespace {

struct QuantizeFlags {
  std::string model;
  std::string output;
  std::string type;
  std::string size;
  std::optional<double> bits;
  std::optional<double> max_kld;
  bool fit = false;
  FitOptions fit_options;
  std::string mode;
  std::string types = "all";
  std::vector<std::string> tensor_types;
  std::string recipe;
  std::string work;
  std::string imatrix;
  std::string calibration;
  std::optional<double> generate;  // seconds
  std::string memory = "1GiB";
  int threads = 0;
  int exchanges = QuantizeOptions{}.exchanges;
  bool force = false;
  bool dry_run = false;
  bool text_only = false;
};

// What requantising costs, told before it is done.
void WarnIfQuantised(const OpenedModel& model, std::vector<std::string>& notes) {
  if (IsUnquantised(model.file)) return;
  notes.push_back(fmt::format(
      "the source is {} already: its own loss stays and the new one adds to it (what was "
      "measured was measured against it); an F16 or BF16 original makes a better {}",
      TypeLabel(model.file), "file of the same size"));
}

// Words that say nothing together.
Status CheckCombination(const QuantizeFlags& options, bool replays) {
  const int goals = int{!options.type.empty()} + int{!options.size.empty()} +
                    int{options.bits.has_value()} + int{options.max_kld.has_value()} +
                    int{options.fit};
  const bool crafts = options.type.empty() || options.mode == "full";
  if (goals > 1 || (goals == 0 && !replays)) {
    return Error{Code::kUsage, "say what to make by one of --type, --size, --bpw, --max-kld, --fit",
                 "for example --type Q4_K_M, or --size Q4_K_M for a better file of that size"};
  }
  if (goals == 1 && replays) {
    return Error{
        Code::kUsage,
        fmt::format("{} is there already, and says what to make", SafeText(options.recipe, 300)),
        "leave the size or type out, or name another recipe"};
  }
  if (options.type.empty() && options.mode == "exact") {
    return Error{Code::kUsage, "--mode exact goes with --type alone",
                 "llama-quantize has no other types"};
  }
  if (crafts && !options.imatrix.empty()) {
    return Error{Code::kUsage, "an imatrix says too little for this: moments of a text are needed",
                 "give --calibration FILE, or neither"};
  }
  if (options.types == "fast" && options.size.empty() && !options.bits && !options.fit) {
    return Error{Code::kUsage, "--types fast goes with --size, --bpw or --fit",
                 "a recipe has its types, and a loss asks for no size to compare speeds at"};
  }
  if (!crafts && !(options.recipe.empty() && options.work.empty())) {
    return Error{Code::kUsage,
                 "--recipe and --work go with --size, --bpw, --max-kld, --fit or --mode full",
                 "leave them out"};
  }
  return {};
}

// `around`: bytes of the output besides the model in `file`.
Status ChooseGoal(const QuantizeFlags& options, const GgufFile& file, uint64_t around,
                  QuantizeOptions& quantize) {
  const bool replays = !options.recipe.empty() && access(options.recipe.c_str(), F_OK) == 0;
  TRY_STATUS(CheckCombination(options, replays));
  if (!options.recipe.empty()) quantize.recipe_file = options.recipe;
  quantize.compensate = options.mode == "full" || (options.type.empty() && options.mode != "plain");
  quantize.exact = options.mode == "exact";
  if (!options.type.empty()) {
    TRY(quantize.recipe, ParseFileType(options.type));
  }
  if (quantize.exact && !options.tensor_types.empty() && !InfoOf(quantize.recipe->base).quantized) {
    return Error{Code::kUsage,
                 fmt::format("llama-quantize passes over --tensor-type where it makes {}",
                             quantize.recipe->name),
                 "leave --mode exact out"};
  }
  for (const std::string& text : options.tensor_types) {
    TRY(TypePattern pattern, ParseTypePattern(text));
    quantize.forced_types.push_back(std::move(pattern));
  }
  quantize.max_loss = options.max_kld;
  quantize.exchanges = options.exchanges;
  if (options.bits) {
    quantize.size_bytes =
        static_cast<uint64_t>(static_cast<double>(file.parameters()) * *options.bits / 8) +
        file.data_offset + around;
  }
  if (!options.size.empty()) {
    const FileType* like = FindFileType(options.size);
    if (like == nullptr) {
      TRY(quantize.size_bytes, ParseBytes(options.size));
    } else {
      QuantizeOptions of_the_recipe = quantize;
      of_the_recipe.recipe = like;
      of_the_recipe.compensate = false;
      of_the_recipe.forced_types.clear();
      TRY(const QuantizeReport made, PlanQuantize(of_the_recipe));
      quantize.size_bytes = made.file_bytes + around;
    }
  }
  return {};
}

// The result, as a document and as text.
struct Said {
  Json document;
  std::string text;

  Status Print(bool json) const { return json ? PrintDocument(document) : PrintText(text); }
};

std::vector<TensorType> TypesOf(const QuantizeReport& report) {
  std::vector<TensorType> types;
  for (const TensorChange& tensor : report.tensors) types.push_back(tensor.to);
  return types;
}

// What the file takes where it is to run.
Status AddFit(const Fit& fit, const Result<Fit::Taken>& priced, Said& said) {
  if (!priced.ok()) return priced.error();
  said.document["fit"] = fit.ToJson(*priced);
  said.text += fit.Describe(*priced) + "\n";
  return {};
}

// What --types fast judges by. The kernels are measured where nobody did before; a dry run writes
// nothing, so it goes without.
Result<std::optional<SpeedWish>> FastWish(const QuantizeFlags& options,
                                          const std::optional<Fit>& fit, Progress& progress) {
  MachineScan scan = ScanMachine();
  if (!scan.kernels) {
    if (options.dry_run) return std::optional<SpeedWish>();
    TRY_STATUS(BenchKernels(
        scan, [&](double share) { progress.Update("measuring the engine's kernels", share); }));
  }
  TRY(const PlanTarget here, ChooseTarget(scan.machine, options.fit_options.target));
  SpeedWish wish;
  wish.target.gpus = KernelsOfGpus(scan, here);
  wish.target.host = *KernelsOfHost(scan);
  if (fit) wish.target.settings = fit->settings();
  if (wish.target.gpus.empty()) wish.target.settings.gpu_layers = 0;
  wish.baseline = FindFileType(options.size);
  return std::optional(std::move(wish));
}

Status RunQuantize(const QuantizeFlags& options, const Shared& shared) {
  // What would be made is known from the header.
  TRY(const OpenedModel model, OpenModel(options.model, shared.quiet,
                                         options.dry_run ? OpenFor::kHeader : OpenFor::kLoading));
  const StoredModel* stored = model.stored ? &*model.stored : nullptr;
  const bool as_stored = stored != nullptr && !options.text_only;
  QuantizeOptions quantize;
  quantize.source = model.local.path;
  if (IsUnwritten(model)) quantize.source_header = std::make_shared<const GgufFile>(model.file);
  quantize.output = options.output;
  uint64_t around = 0;
  if (as_stored) {
    TRY(around, BytesAroundText(stored->file, stored->view));
  }
  TRY_STATUS(ChooseGoal(options, model.file, around, quantize));
  TRY(quantize.memory_bytes, ParseBytes(options.memory));
  if (!options.imatrix.empty()) quantize.importance_file = options.imatrix;
  if (!options.calibration.empty()) quantize.calibration_text = options.calibration;
  quantize.generate_text = options.generate.has_value();
  quantize.generate_seconds = options.generate.value_or(quantize.generate_seconds);
  if (!options.work.empty()) quantize.work_directory = options.work;
  quantize.threads = options.threads;
  quantize.force = options.force;
  std::optional<Fit> fit;
  if (options.fit) {
    TRY(Fit there, Fit::Create(model, options.fit_options));
    fit.emplace(std::move(there));
    quantize.fit = fit->Target();
  }
  Progress progress(shared.quiet);
  std::string blind;  // why --types fast can't see
  if (options.types == "fast") {
    TRY(quantize.speed, FastWish(options, fit, progress));
    if (!quantize.speed)
      blind =
          "the engine's kernels were not measured here (`trimma scan --bench`): "
          "types as with --types all";
  }
  const auto tell = [&](const std::string& stage, double share) { progress.Update(stage, share); };
  if (options.dry_run && (quantize.recipe == nullptr || quantize.compensate)) {
    if (quantize.size_bytes) *quantize.size_bytes -= std::min(*quantize.size_bytes, around);
    Result<CraftPlan> plan = PlanCraft(quantize, tell);
    progress.Done();
    if (!plan.ok()) return plan.error();
    WarnIfQuantised(model, plan->notes);
    if (!blind.empty()) plan->notes.push_back(blind);
    for (const std::string& note : ViewNotes(model)) plan->notes.push_back(note);
    Said said = {ToJson(*plan), Describe(*plan, quantize.output)};
    if (fit && plan->report) TRY_STATUS(AddFit(*fit, fit->PriceMix(TypesOf(*plan->report)), said));
    return said.Print(shared.json);
  }
  const auto make = [&]() -> Result<QuantizeReport> {
    if (!as_stored) return options.dry_run ? PlanQuantize(quantize) : Quantize(quantize, tell);
    return options.dry_run ? PlanAsStored(stored->file, stored->view, quantize)
                           : QuantizeAsStored(stored->file, stored->view, quantize, tell);
  };
  auto report = make();
  progress.Done();
  if (!report.ok()) return report.error();
  for (const std::string& note : ViewNotes(model)) report->notes.push_back(note);
  WarnIfQuantised(model, report->notes);
  Said said = {ToJson(*report), Describe(*report, options.dry_run)};
  if (fit) {
    TRY(const OpenedModel made, OpenModel(report->output, shared.quiet, OpenFor::kHeader));
    TRY_STATUS(AddFit(*fit, fit->Price(made.file), said));
  }
  const Status printed = said.Print(shared.json);
  if (!options.dry_run) Remember(said.document, StoredPath(model));
  return printed;
}

}  // namespace

Action DefineQuantize(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<QuantizeFlags>();
  app.add_option("MODEL", o->model, "A model file or name")->required();
  app.add_option("-o,--output", o->output, "The GGUF to write")->required();
  app.add_option("--type", o->type, "llama.cpp's recipe: Q8_0, Q6_K, Q5_K_M, Q4_K_M, IQ4_XS, ...");
  app.add_option("--size", o->size,
                 "At most so large (2.2GiB, or as a recipe: Q4_K_M); types are allocated");
  app.add_option("--bpw", o->bits, "At most so many bits per weight; types are allocated")
      ->check(CLI::Range(1.0, 32.0));
  app.add_option("--max-kld", o->max_kld,
                 "The smallest file that is expected to lose at most so much (nats a token)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--fit", o->fit,
               "As large as runs wholly on the GPUs (or the host, where there are none) with "
               "--context tokens");
  FitOptions& f = o->fit_options;
  app.add_option("--gpu", f.target.gpus,
                 "With --fit: these cards instead of this machine's (\"RTX 2060\", none)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->needs("--fit");
  app.add_option("--vram", f.target.vram, "With --fit: memory free on the card (5.5GiB)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->needs("--fit");
  app.add_option("--context", f.context, "With --fit: tokens of context (default 4096)")
      ->needs("--fit");
  app.add_option("--kv", f.kv, "With --fit: type of the KV cache")
      ->capture_default_str()
      ->needs("--fit");
  app.add_option("--mmproj", f.projector,
                 "With --fit: a projector beside the model, or none (default: its store's)")
      ->needs("--fit");
  app.add_option("--types", o->types,
                 "all, or fast: no slower than llama.cpp's own file of that size, by the kernels' "
                 "speeds measured on this machine")
      ->capture_default_str()
      ->check(CLI::IsMember({"all", "fast"}));
  app.add_option(
         "--mode", o->mode,
         "plain (each block rounded best), full (errors make up for each other), or exact (with "
         "--type: the bytes of llama-quantize); default plain with --type, full else")
      ->check(CLI::IsMember({"plain", "full", "exact"}));
  app.add_option("--tensor-type", o->tensor_types,
                 "PATTERN=TYPE, repeatable: tensors in whose name the regular expression is found "
                 "get this type (attn_v=Q6_K); of several the first that is found counts")
      ->allow_extra_args(false);
  app.add_option("--recipe", o->recipe,
                 "A file that the chosen types are kept in; if it is there, they are replayed");
  app.add_option("--imatrix", o->imatrix, "Importance data of llama.cpp (GGUF)");
  app.add_option("--calibration", o->calibration,
                 "A text to learn from: your own, in your languages")
      ->excludes("--imatrix");
  app.add_option(
         "--generate", o->generate,
         "Learn from text that the model writes in so many seconds, in several languages; "
         "with --calibration from both. Modes that learn do so for 20 where neither is given")
      ->excludes("--imatrix")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--exchanges", o->exchanges,
         "With a size: types of pairs of tensors exchanged on trial at most, each judged by "
         "the real divergence")
      ->capture_default_str()
      ->check(CLI::Range(0, 10000));
  app.add_option("--work", o->work,
                 "Keep what was measured in this folder, for more files of the same model");
  app.add_option("--memory", o->memory, "For buffers, whatever the tensors' sizes")
      ->capture_default_str();
  app.add_option("--threads", o->threads, "0: all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_flag(
      "--text-only", o->text_only,
      "Of a model that Ollama stores with its vision encoder: the language model alone, as "
      "llama.cpp reads it (default: as stored, the encoder kept byte for byte)");
  app.add_flag("--force", o->force, "Replace an existing output");
  app.add_flag("--dry-run", o->dry_run,
               "Say what would be made, as far as it is known without measuring; write nothing");
  return [o, &shared] { return RunQuantize(*o, shared); };
}

}  // namespace trimma
