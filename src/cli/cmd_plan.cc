#include <fmt/format.h>

#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/machine.h"
#include "cli/planning.h"
#include "report/table.h"

namespace trimma {
namespace {

struct Options {
  std::string model;
  PlanOptions plan;
};

std::string CellTable(const Plan& plan) {
  TextTable table{{"", "type", "file", "context", "words", "KV", "GPU layers", "weights",
                   "KV cache", "compute", "total", "fits", "tok/s at most"},
                  {}};
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    const PlanCell& cell = plan.cells[i];
    uint64_t weights = 0;
    uint64_t kv = 0;
    uint64_t compute = 0;
    for (const DeviceBytes& device : cell.devices) {
      weights += device.weights_bytes;
      kv += device.kv_bytes;
      compute += device.compute_bytes;
    }
    // The rule of thumb of English text: three words to four tokens.
    table.rows.push_back({plan.recommended == i ? "*" : "", cell.type, FormatBytes(cell.file_bytes),
                          std::to_string(cell.settings.context),
                          fmt::format("{}", cell.settings.context * 3 / 4), cell.settings.kv_k,
                          fmt::format("{}", cell.settings.gpu_layers.value_or(0)),
                          FormatBytes(weights), FormatBytes(kv), FormatBytes(compute),
                          FormatBytes(weights + kv + compute), cell.fits ? "yes" : "no",
                          cell.decode_tps ? fmt::format("{:.0f}", *cell.decode_tps) : ""});
  }
  return RenderTable(table);
}

std::string Describe(const OpenedModel& model, const Plan& plan, const Machine& machine) {
  std::string text =
      fmt::format("{} on {}, {} of memory available\n\n", DisplayName(model),
                  SafeText(machine.cpu.name), FormatBytes(machine.memory.available_bytes));
  text += CellTable(plan);
  text += plan.recommended ? fmt::format("\nrecommended (*): {}\n", plan.reason)
                           : fmt::format("\n{}\n", plan.reason);
  for (const std::string& note : plan.notes) text += fmt::format("note: {}\n", SafeText(note, 300));
  return text;
}

Error NothingFits(const Plan& plan) {
  return {Code::kNoFit, plan.reason, "close other programs, or choose a smaller model"};
}

Status RunPlan(const Options& options, const Shared& shared) {
  TRY(const OpenedModel model, OpenModel(options.model));
  const MachineScan scan = ScanMachine();
  TRY(const Planned planned, MakePlanFor(model.file, scan.machine, options.plan));
  const Plan& plan = planned.plan;
  if (shared.json) {
    Json document = ToJson(plan);
    document["machine"] = ToJson(scan.machine);
    if (!plan.recommended) document["error"] = ErrorToJson(NothingFits(plan));
    TRY_STATUS(PrintDocument(document));
  } else {
    TRY_STATUS(PrintText(Describe(model, plan, scan.machine)));
  }
  if (plan.recommended) return {};
  return NothingFits(plan);
}

}  // namespace

Action DefinePlan(CLI::App& app, const Shared& shared) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "A model file or name")->required();
  app.add_option("--context", options->plan.contexts,
                 "Context lengths (default 2048,4096,8192,16384 and the model's own)")
      ->delimiter(',');
  app.add_option("--types", options->plan.types,
                 "Types to consider besides the file's own (Q4_K_M,Q8_0,...)")
      ->delimiter(',');
  app.add_option("--kv", options->plan.kv_types, "KV-cache types (default f16,q8_0,q4_0)")
      ->delimiter(',');
  const auto runtime = std::make_shared<std::string>("llama-server");
  app.add_option("--runtime", *runtime,
                 "llama-server (logits for its slots) or bench (logits for every token)")
      ->check(CLI::IsMember({"llama-server", "bench"}));
  return [options, runtime, &shared] {
    options->plan.bench_outputs = *runtime == "bench";
    return RunPlan(*options, shared);
  };
}

}  // namespace trimma
