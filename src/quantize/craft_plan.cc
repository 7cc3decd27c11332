#include "quantize/craft_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "engine/memory_file.h"
#include "engine/model.h"
#include "gguf/soundness.h"
#include "gguf/view.h"
#include "gguf/writer.h"
#include "quantize/calibration/moments.h"
#include "quantize/choose_types.h"
#include "quantize/stages.h"
#include "quantize/workshop.h"

namespace trimma {
namespace {

class Planning {
 public:
  Planning(const QuantizeOptions& options, const QuantizeProgress& progress)
      : options_(options), progress_(progress) {}

  Result<CraftPlan> Run() {
    if (options_.source_header) {
      source_ = *options_.source_header;
    } else {
      TRY(source_, ReadGguf(options_.source));
    }
    TRY_STATUS(CheckModel(source_));
    TRY_STATUS(CheckIsNoInput(source_, options_.output));
    TRY(eligible_, FindEligible(options_, source_));
    TRY_STATUS(LookAtStages());
    TRY_STATUS(CountPasses());
    if (Allocates(options_)) {
      plan_.most_bytes = options_.fit ? eligible_.fitting_bytes : options_.size_bytes;
      plan_.most_loss = options_.max_loss;
      plan_.least_bytes = eligible_.least_bytes;
    }
    if (!Allocates(options_) || has_worths_) TRY_STATUS(KnowTypes());
    Stage(stage::kQuantising, false);
    return std::move(plan_);
  }

 private:
  std::string Path(const char* name) const { return plan_.directory + "/" + name; }

  void Stage(const char* stage, bool kept) {
    (kept ? plan_.kept : plan_.to_do).emplace_back(stage);
  }

  Status LookAtStages() {
    const std::string key = StagesKey(options_, source_);
    plan_.directory = StagesDirectory(options_, key);
    TRY(const Workshop::Holds holds, Workshop::Look(plan_.directory, key));
    if (holds == Workshop::Holds::kOthers) {
      plan_.notes.push_back(
          fmt::format("{} holds stages of another source, text or memory: they would be removed",
                      SafeText(plan_.directory, 300)));
    }
    const auto has = [&](const char* name) {
      std::error_code ignored;
      return holds == Workshop::Holds::kThese && std::filesystem::exists(Path(name), ignored);
    };
    has_moments_ = has(stage::kMoments) && has(stage::kTokens);
    has_worths_ = has(stage::kWorths);
    Stage(stage::kReading, has_moments_);
    if (Allocates(options_)) {
      Stage(stage::kCarrying, has_worths_ || has(stage::kCarrier));
      Stage(stage::kMeasuring, has_worths_);
    }
    // Which trials there will be is known with the worths.
    if (TriesExchanges(options_) && !has_worths_) Stage(stage::kExchanging, false);
    return {};
  }

  // Which inputs there are doesn't depend on the weights: of a source that isn't written yet a hole
  // takes their place.
  Result<GatheringPlan> FindInputs(int threads) const {
    if (!options_.source_header)
      return AskGathering(options_.source, options_.memory_bytes, threads);
    TRY(const GgufLayout layout, LayOutGguf(source_.metadata, PlansOf(ViewOf(source_))));
    const std::string folder = std::filesystem::path(options_.output).parent_path().string();
    TRY(const MemoryFile hole,
        MemoryFile::CreateIn(folder.empty() ? "." : folder, layout.header, layout.file_bytes));
    auto found = AskGathering(hole.path_for_children(), options_.memory_bytes, threads);
    if (!found.ok()) return UnderItsName(found.error(), hole, options_.source);
    return found;
  }

  Status CountPasses() {
    if (!has_moments_) {
      if (progress_) progress_("finding the model's inputs", 0);
      const int threads = options_.threads > 0 ? options_.threads : DefaultThreads();
      TRY(const GatheringPlan found, FindInputs(threads));
      plan_.inputs = found.inputs;
      plan_.passes = found.passes;
      plan_.blocked = found.blocked;
      if (found.inputs == 0) {
        plan_.notes.emplace_back(
            "the engine can't evaluate this model: it would be rounded plainly, all errors alike");
      }
      return {};
    }
    TRY(moments_, MomentsFile::Open(Path(stage::kMoments)));
    if (std::filesystem::exists(Path(stage::kExperts))) {
      TRY(experts_, ReadImportance(Path(stage::kExperts)));
    }
    const std::vector<ModelInput>& inputs = moments_->index().inputs;
    plan_.inputs = inputs.size();
    plan_.blocked = static_cast<size_t>(
        std::count_if(inputs.begin(), inputs.end(),
                      [](const ModelInput& input) { return input.block < input.n; }));
    return {};
  }

  Status KnowTypes() {
    std::vector<TensorWorth> worths;
    if (Allocates(options_)) {
      TRY(worths, ReadWorths(Path(stage::kWorths)));
      plan_.types_from = "kept measurements";
    } else {
      plan_.types_from = options_.recipe != nullptr
                             ? fmt::format("the recipe {}", options_.recipe->name)
                             : *options_.recipe_file;
    }
    TRY(ChosenTypes chosen, ChooseTypes(options_, source_, eligible_, worths));
    if (chosen.mix && TriesExchanges(options_)) {
      const auto kept =
          KeptExchanges(Path(stage::kExchanged), TrialsOf(options_, *chosen.mix->choices));
      Stage(stage::kExchanging, kept.has_value());
      if (kept) {
        TRY_STATUS(TakeExchanged(options_, source_, *kept, chosen));
      } else {
        chosen.notes.emplace_back("types may still be exchanged on the real divergence");
      }
    }
    if (moments_)
      TRY_STATUS(CheckSeen(options_, source_, chosen.assignment,
                           {&*moments_, experts_ ? &*experts_ : nullptr}));
    TRY(const GgufLayout layout,
        LayOutOutput(source_, chosen.assignment, *chosen.label, MadeToMeasure(options_)));
    plan_.report = ReportOf(source_, chosen.assignment, layout, options_.output);
    plan_.report->expected_loss = chosen.expected_loss;
    plan_.report->budget_bytes = chosen.budget_bytes;
    plan_.report->speed = chosen.speed;
    plan_.report->notes.insert(plan_.report->notes.end(), chosen.notes.begin(), chosen.notes.end());
    return {};
  }

  const QuantizeOptions& options_;
  const QuantizeProgress& progress_;
  GgufFile source_;
  Eligible eligible_;
  bool has_moments_ = false;
  bool has_worths_ = false;
  std::optional<MomentsFile> moments_;
  std::optional<Importance> experts_;
  CraftPlan plan_;
};

}  // namespace

Result<CraftPlan> PlanCraft(const QuantizeOptions& options, const QuantizeProgress& progress) {
  return Planning(options, progress).Run();
}

Json ToJson(const CraftPlan& plan) {
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(); };
  Json json = plan.report ? ToJson(*plan.report)
                          : Json{{"schema", "trimma.quantize/1"},
                                 {"output", Json()},
                                 {"file_bytes", Json()},
                                 {"bits_per_weight", Json()},
                                 {"seconds", 0},
                                 {"expected_mean_kld", Json()},
                                 {"notes", Json::array()},
                                 {"tensors", Json::array()}};
  for (const std::string& note : plan.notes) json["notes"].push_back(note);
  json["types_from"] = plan.types_from.empty() ? Json() : Json(plan.types_from);
  json["most_bytes"] = or_null(plan.most_bytes);
  json["most_mean_kld"] = or_null(plan.most_loss);
  json["least_bytes"] = or_null(plan.least_bytes);
  json["stages"] = {{"directory", plan.directory}, {"kept", plan.kept}, {"to_do", plan.to_do}};
  json["passes"] = plan.passes;
  json["inputs"] = {{"all", plan.inputs}, {"in_blocks", plan.blocked}};
  return json;
}

}  // namespace trimma
