#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/machine.h"
#include "cli/planning.h"
#include "cli/runtime_options.h"
#include "report/plan_text.h"

namespace trimma {
namespace {

struct PlanFlags {
  std::string model;
  std::string purpose = "chat";
  std::string runtime = "llama-server";
  std::string flash_attention = "auto";
  std::optional<std::string> projector;
  bool all = false;
  bool insecure = false;
  TargetOptions target;
  PlanOptions plan;
};

Status RunPlan(PlanFlags& options, const Shared& shared) {
  TRY(options.plan.wishes.purpose, ParsePurpose(options.purpose));
  options.target.bench_outputs = options.runtime == "bench";
  options.plan.base.flash_attention = ParseFlashAttention(options.flash_attention);
  // It loads the engine while the header is read: each takes longer than the pricing itself.
  TRY(Child child, Child::Start(kPricingJob));
  TRY(const OpenedModel model, OpenModelOrHeader(options.model, options.insecure));
  const MachineScan scan = ScanMachine();
  TRY(PlanTarget target, ChooseTarget(scan.machine, options.target));
  TRY(target.pricing.projector, OpenProjector(model, options.projector));
  TRY(Planned planned, MakePlanFor(model.file, scan, target, options.plan, std::move(child)));
  const std::vector<std::string> view = ViewNotes(model);
  planned.plan.notes.insert(planned.plan.notes.begin(), view.begin(), view.end());
  const Plan& plan = planned.plan;
  if (shared.json) {
    Json document = ToJson(plan);
    document["machine"] = ToJson(target.machine);
    document["imagined"] = target.imagined;
    document["header_from"] = model.remote_host.empty() ? Json() : Json(model.remote_host);
    document["checked_cells"] = planned.pricing.checked;
    if (plan.refusal) document["error"] = ErrorToJson(*plan.refusal);
    TRY_STATUS(PrintDocument(document));
  } else {
    PlanText text;
    text.model = fmt::format("{} ({}, {})", DisplayName(model), TypeLabel(model.file),
                             ParametersText(model.file.parameters()));
    text.layers = planned.pricing.layers;
    text.all = options.all;
    text.colour = StandardOutputIsTerminal();
    TRY_STATUS(PrintText(RenderPlan(plan, target.machine, text)));
    if (!model.remote_host.empty()) {
      TRY_STATUS(PrintText(
          fmt::format("note: the model is not here; its header was read from {}: trimma pull {}\n",
                      SafeText(model.remote_host), SafeText(model.local.name))));
    }
  }
  if (plan.refusal) return *plan.refusal;
  return {};
}

}  // namespace

Action DefinePlan(CLI::App& app, const Shared& shared) {
  const auto options = std::make_shared<PlanFlags>();
  PlanFlags& o = *options;
  app.add_option("MODEL", o.model, "A model file or name")->required();
  app.add_option(
         "--gpu", o.target.gpus,
         "Plan for these cards instead of this machine's (\"RTX 2060\", \"3090,3090\", none)")
      ->delimiter(',');
  app.add_option("--vram", o.target.vram, "Memory free on the card (5.5GiB), of each if several")
      ->delimiter(',');
  app.add_option("--for", o.purpose, "chat, documents, code, speed or quality")
      ->capture_default_str();
  app.add_option("--min-context", o.plan.wishes.min_context, "At least so many tokens of context")
      ->check(CLI::PositiveNumber);
  app.add_option("--min-speed", o.plan.wishes.min_decode_tps, "At least so many tokens a second")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-kld", o.plan.wishes.max_kld, "At most so much loss (nats a token)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--context", o.plan.contexts,
                 "Context lengths (default 2048 to 32768 and the model's own)")
      ->delimiter(',');
  app.add_option("--types", o.plan.types,
                 "Types to consider besides the file's own (Q4_K_M,Q8_0,...), or as-is")
      ->delimiter(',');
  app.add_option("--kv", o.plan.kv, "KV-cache types, or K/V (default f16,q8_0,q4_0)")
      ->delimiter(',');
  app.add_option("--ubatch", o.plan.base.ubatch, "Physical batch")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--batch", o.plan.base.batch, "Logical batch")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--flash-attention", o.flash_attention, "auto, on or off")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--parallel", o.plan.base.parallel, "Sequences side by side")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--gpu-layers", o.plan.base.gpu_layers,
                 "Exactly so many layers on the GPU (default: as many as fit); with 0 it still "
                 "computes large batches, --gpu none leaves it out")
      ->check(CLI::Range(0, 10000));
  AddOnHostOption(app, o.plan.base.host_tensors);
  app.add_option("--mmproj", o.projector,
                 "A vision or audio projector loaded beside the model, or none (default: the one "
                 "in the model's store)");
  app.add_option("--runtime", o.runtime,
                 "llama-server (logits for its slots) or bench (logits for every token)")
      ->check(CLI::IsMember({"llama-server", "bench"}))
      ->capture_default_str();
  AddInsecureOption(app, o.insecure);
  app.add_flag("--all", o.all, "Show every choice, not just those that nothing else beats");
  return [options, &shared] { return RunPlan(*options, shared); };
}

}  // namespace trimma
