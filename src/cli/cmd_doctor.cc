#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/remember.h"
#include "doctor/fix.h"
#include "doctor/gather.h"
#include "doctor/nvidia_smi.h"
#include "doctor/rules.h"
#include "engine/engine.h"
#include "report/doctor_text.h"

namespace trimma {
namespace {

struct DoctorFlags {
  std::string model;
  bool fix = false;
};

// As the engine's backends see them, in a child; where it has none, NVIDIA's own program is asked.
Fact<std::vector<Gpu>> CardsNow() {
  if (HasGpuBackends()) return ScanMachine().machine.gpus;
  if (ReadPseudoFile("/proc/driver/nvidia/version").ok()) return AskNvidiaSmi();
  return Fact<std::vector<Gpu>>::Unknown(
      "trimma's engine is built for the processor alone, so it can't ask the cards");
}

Result<Surroundings> Around(const DoctorFlags& options) {
  Surroundings around = RealSurroundings();
  if (!options.model.empty()) {
    TRY(around.only_model, ResolveModel(options.model, around.models));
  }
  around.gpus = CardsNow();
  // The machine's part is the same for every model.
  const auto known = std::make_shared<std::map<std::string, Provenance>>();
  around.provenance_now = [known](const std::string& path) {
    auto found = known->find(path);
    if (found == known->end()) found = known->emplace(path, ProvenanceNow(path)).first;
    return found->second;
  };
  return around;
}

Status RunDoctor(const DoctorFlags& options, const Shared& shared) {
  TRY(const Surroundings around, Around(options));
  DoctorFacts facts = GatherFacts(around);
  Diagnosis diagnosis = Diagnose(facts);
  std::optional<FixPlan> fixes;
  Status applied;
  if (options.fix) {
    TRY(fixes, PlanFixes(diagnosis.findings, {around.home, around.working_directory}));
    applied = ApplyFixes(*fixes);
    // What is left, and what was written, is said after a look at the files as they are now.
    facts = GatherFacts(around);
    diagnosis = Diagnose(facts);
  }
  const DoctorReport report{diagnosis, facts.model_notes, fixes};
  TRY_STATUS(shared.json ? PrintDocument(ToJson(report)) : PrintText(ToText(report)));
  if (!applied.ok()) return applied;
  if (diagnosis.sound()) return {};
  const auto above = std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                   [](const Finding& f) { return f.severity != Severity::kInfo; });
  return Error{Code::kFailure, fmt::format("{} finding{} above info", above, above == 1 ? "" : "s"),
               ""};
}

}  // namespace

Action DefineDoctor(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<DoctorFlags>();
  app.add_option("MODEL", o->model, "Judge this model alone, besides Ollama and the machine");
  app.add_flag("--fix", o->fix,
               "Turn variables that nothing reads into comments, in your own files (FILE.bak, or "
               "FILE.bak.1, keeps the old one); print the commands for the others");
  return [o, &shared] { return RunDoctor(*o, shared); };
}

}  // namespace trimma
