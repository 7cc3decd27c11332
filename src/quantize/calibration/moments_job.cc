#include <unistd.h>

#include "base/file.h"
#include "engine/evaluates.h"
#include "gguf/soundness.h"
#include "quantize/calibration/diagonals.h"
#include "quantize/calibration/evaluation.h"
#include "quantize/calibration/moments.h"
#include "quantize/calibration/text_source.h"
#include "quantize/fitted_model.h"
#include "quantize/source_rows.h"

namespace trimma {
namespace {

constexpr size_t kShortestChunk = 16;
constexpr double kTextShare = 0.3;     // of the progress, where text is generated
constexpr double kExpertsShare = 0.3;  // of the rest, where there are experts

// The text that an interrupted run has left at `path`, or a new one, kept there: what the model
// writes in a given time is not the same twice.
Result<CalibrationText> TextAt(const std::string& path, const Model& model,
                               const TextRequest& request,
                               const std::function<void(double)>& beat) {
  if (access(path.c_str(), F_OK) == 0) {
    TRY(const std::string kept, ReadSmallFile(path));
    return CalibrationFromJson(Json::parse(kept, nullptr, false));
  }
  TRY(const ObtainedText text, ObtainText(model, request, beat));
  const CalibrationText cut = CutCalibration(text);
  TRY_STATUS(WriteFileAtomically(path, ToJson(cut).dump()));
  return cut;
}

PassCost CostOf(const FittedModel& fitted) {
  return fitted.note.empty() ? PassCost::kLittle : PassCost::kMuch;
}

}  // namespace

Result<Json> MomentsJob(const Json& request, const Emit& emit) {
  const std::string path = request.at("model");
  TRY(const GgufFile file, ReadGguf(path));
  TRY_STATUS(CheckModel(file));
  const int threads = request.at("threads");
  const TextRequest wanted = TextRequestFromJson(request.at("text"));
  const bool writes = wanted.generate || !wanted.file;
  const bool predicts = writes || request.at("predicts").get<bool>();
  RuntimeSettings room = ChunkSettings(kChunkTokens, threads);
  if (writes) room.context *= kSequences;
  TRY(const FittedModel fitted, LoadFitted(path, {}, room));
  const Model& model = fitted.model;
  TRY(const std::string why_not,
      WhyNotEvaluated(model, predicts ? Wanted::kPredictions : Wanted::kInputs));
  if (!why_not.empty()) return Json{{"unsupported", why_not}};
  const double head = writes ? kTextShare : 0;
  const auto report = [&](double share) { emit({{"progress", share}}); };
  TRY(const CalibrationText text,
      TextAt(request.at("tokens"), model, wanted, [&](double share) { report(head * share); }));
  GatherOptions options;
  options.output = request.at("moments");
  options.memory_bytes = request.at("memory_bytes");
  options.threads = threads;
  options.note = fitted.note;
  options.cost = CostOf(fitted);
  if (request.value("on_host", false))
    options.device_of = [](const ggml_tensor*) -> ggml_backend_device* { return nullptr; };
  double done = head;
  if (HasExperts(file)) {
    // Before the moments, which say that all is there.
    auto experts =
        GatherDiagonals(model, text.moments, ActivationTap::Matrices::kExperts,
                        [&](double share) { report(head + kExpertsShare * (1 - head) * share); });
    if (!experts.ok()) return WhichTensor(file, experts.error());
    if (!experts->entries.empty())
      TRY_STATUS(WriteImportance(request.at("experts").get<std::string>(), *experts));
    done = head + kExpertsShare * (1 - head);
  }
  const auto gathered =
      GatherMoments(model, text, options, [&](double share) { report(done + (1 - done) * share); });
  if (!gathered.ok()) return WhichTensor(file, gathered.error());
  return Json{{"passes", gathered->passes},
              {"blocked", gathered->blocked.size()},
              {"on_devices", gathered->on_devices},
              {"gathering", gathered->note}};
}

Result<GatheringPlan> AskGathering(const std::string& model, uint64_t memory_bytes, int threads) {
  TRY(const Json answer,
      RunChild("gathering",
               {{"model", model}, {"memory_bytes", memory_bytes}, {"threads", threads}}));
  return GatheringPlan{answer.at("inputs"), answer.at("passes"), answer.at("blocked")};
}

Result<Json> GatheringJob(const Json& request, const Emit&) {
  GatherOptions options;
  options.memory_bytes = request.at("memory_bytes");
  options.threads = request.at("threads");
  TRY(const FittedModel fitted, LoadFitted(request.at("model").get<std::string>(), {},
                                           ChunkSettings(kChunkTokens, options.threads)));
  options.cost = CostOf(fitted);
  TRY(const std::string why_not, WhyNotEvaluated(fitted.model, Wanted::kInputs));
  if (!why_not.empty()) return Json{{"inputs", 0}, {"passes", 0}, {"blocked", 0}};
  // Which tokens doesn't matter: every matrix but those of experts sees all of them.
  std::vector<Token> tokens(kShortestChunk, 0);
  if (fitted.model.adds_bos()) tokens[0] = fitted.model.bos();
  TRY(const GatheringPlan plan, PlanGathering(fitted.model, tokens, options));
  return Json{{"inputs", plan.inputs}, {"passes", plan.passes}, {"blocked", plan.blocked}};
}

}  // namespace trimma
