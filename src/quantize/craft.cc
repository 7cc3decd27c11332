#include "quantize/craft.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/model.h"
#include "gguf/soundness.h"
#include "plan/file_hash.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/diagonals.h"
#include "quantize/calibration/moments_file.h"
#include "quantize/choose_types.h"
#include "quantize/learn_from.h"
#include "quantize/made_by.h"
#include "quantize/make_file.h"
#include "quantize/recipe_file.h"
#include "quantize/stages.h"
#include "quantize/workshop.h"

namespace trimma {
namespace {

constexpr size_t kGroups = 64;

class Craft {
 public:
  Craft(const QuantizeOptions& options, const QuantizeProgress& progress)
      : options_(options), progress_(progress) {
    if (options_.threads <= 0) options_.threads = DefaultThreads();
  }

  Result<QuantizeReport> Run() {
    const auto start = std::chrono::steady_clock::now();
    TRY(source_, ReadGguf(options_.source));
    TRY_STATUS(CheckModel(source_));
    TRY_STATUS(CheckOutput(source_, options_));
    TRY(eligible_, FindEligible(options_, source_));
    key_ = StagesKey(options_, source_);
    TRY(Workshop workshop, Workshop::Open(StagesDirectory(options_, key_), key_));
    workshop_.emplace(std::move(workshop));
    auto report = RunStages();
    if (!report.ok()) return AndWhatIsKept(report.error());
    if (!options_.work_directory) workshop_->Remove();
    report->seconds = SecondsSince(start);
    return report;
  }

 private:
  Result<QuantizeReport> RunStages() {
    TRY_STATUS(Gather());
    if (!unsupported_.empty()) TRY_STATUS(DoWithoutLearning());
    TRY_STATUS(CheckForced());
    TRY_STATUS(Choose());
    return Make();
  }

  // A stage that was finished is worth keeping, whatever happened later.
  Error AndWhatIsKept(Error error) const {
    if (!workshop_->Has(stage::kTokens)) {
      if (!options_.work_directory) workshop_->Remove();
      return error;
    }
    if (!error.hint.empty()) error.hint += "; ";
    error.hint +=
        fmt::format("what was measured is kept in {}", SafeText(workshop_->directory(), 300));
    return error;
  }

  Result<Json> Child(const char* job, const Json& request, const char* stage) const {
    if (StagesKey(options_, source_) != key_) {
      return Error{Code::kInvalid, "the source or the calibration text has changed meanwhile",
                   "run the same command again"};
    }
    return RunChild(job, request, [&](const Json& event) {
      if (progress_) progress_(stage, event.value("progress", 0.0));
    });
  }

  Status Gather() {
    if (!workshop_->Has(stage::kMoments) || !workshop_->Has(stage::kTokens)) {
      TRY(const Json gathered,
          Child("moments",
                {{"model", options_.source},
                 {"text", ToJson(TextWanted(options_, ChunksForMoments(source_.parameters())))},
                 {"predicts", Allocates(options_)},
                 {"memory_bytes", options_.memory_bytes},
                 {"threads", options_.threads},
                 {"moments", workshop_->Path(stage::kMoments)},
                 {"experts", workshop_->Path(stage::kExperts)},
                 {"tokens", workshop_->Path(stage::kTokens)}},
                stage::kReading));
      unsupported_ = gathered.value("unsupported", "");
      if (!unsupported_.empty()) return {};
    }
    TRY(moments_, MomentsFile::Open(workshop_->Path(stage::kMoments)));
    if (workshop_->Has(stage::kExperts)) {
      TRY(experts_, ReadImportance(workshop_->Path(stage::kExperts)));
      const std::string note = UnseenExpertsNote(*experts_);
      if (!note.empty()) notes_.push_back(note);
    }
    TRY(const std::string tokens, ReadSmallFile(workshop_->Path(stage::kTokens)));
    TRY(const CalibrationText text, CalibrationFromJson(Json::parse(tokens, nullptr, false)));
    text_ = text.record;
    notes_.insert(notes_.end(), text.notes.begin(), text.notes.end());
    if (!moments_->index().note.empty()) notes_.push_back(moments_->index().note);
    size_t blocked = 0;
    for (const ModelInput& input : moments_->index().inputs) blocked += input.block < input.n;
    if (blocked > 0) {
      notes_.push_back(fmt::format(
          "{} of {} inputs are too wide for the memory: errors make up for each other within "
          "blocks of them only (a larger --memory helps)",
          blocked, moments_->index().inputs.size()));
    }
    return {};
  }

  // The engine can't evaluate this model: a recipe's types, rounded plainly, all errors alike.
  Status DoWithoutLearning() {
    options_.compensate = false;
    if (Allocates(options_) && !options_.size_bytes) {
      return Error{Code::kUsage,
                   fmt::format("what this model would lose can't be measured: {}", unsupported_),
                   "choose a --type or a --size"};
    }
    notes_.push_back(
        fmt::format("the engine can't evaluate this model ({}): rounded plainly, all errors alike",
                    unsupported_));
    if (!Allocates(options_)) return {};
    TRY(options_.recipe, LargestRecipe(options_, source_, eligible_.forced));
    notes_.push_back(fmt::format("the types are those of {}, the largest recipe of that size",
                                 options_.recipe->name));
    return {};
  }

  Status Choose() {
    std::vector<TensorWorth> worths;
    if (Allocates(options_)) {
      if (!workshop_->Has(stage::kWorths)) TRY_STATUS(MeasureWorths());
      TRY(worths, ReadWorths(workshop_->Path(stage::kWorths)));
    }
    TRY(chosen_, ChooseTypes(options_, source_, eligible_, worths));
    if (chosen_.mix && TriesExchanges(options_)) TRY_STATUS(TryExchanges());
    unlink(workshop_->Path(stage::kCarrier).c_str());
    TRY_STATUS(CheckSeen(options_, source_, chosen_.assignment, WhatWasSeen()));
    const bool has_goal = options_.recipe != nullptr || Allocates(options_);
    if (options_.recipe_file && has_goal) {
      TRY_STATUS(WriteRecipe(*options_.recipe_file, source_, chosen_.assignment, *chosen_.label));
    }
    return {};
  }

  // Before hours of measuring: forced types are known already.
  Status CheckForced() const {
    Assignment forced = {TypesOf(source_), {}, false};
    Force({eligible_.forced.types, {}}, source_, forced);
    return CheckSeen(options_, source_, forced, WhatWasSeen());
  }

  Seen WhatWasSeen() const {
    return {moments_ ? &*moments_ : nullptr, experts_ ? &*experts_ : nullptr};
  }
  Json ExpertsPath() const { return experts_ ? Json(workshop_->Path(stage::kExperts)) : Json(); }

  Status MakeCarrier() {
    if (workshop_->Has(stage::kCarrier)) return {};
    Assignment carrier = {TypesOf(source_), {}, true};
    for (const size_t i : eligible_.tensors) carrier.types[i] = tensor_type::kQ8_0;
    FileToMake file;
    file.output = workshop_->Path(stage::kCarrier);
    file.assignment = &carrier;
    file.label = FindFileType("Q8_0");
    TRY_STATUS(Child("quantize", RequestOf(options_, file), stage::kCarrying));
    return {};
  }

  Status MeasureWorths() {
    TRY_STATUS(MakeCarrier());
    TRY(const Json worths, Child("sensitivity",
                                 {{"source", options_.source},
                                  {"carrier", workshop_->Path(stage::kCarrier)},
                                  {"moments", workshop_->Path(stage::kMoments)},
                                  {"experts", ExpertsPath()},
                                  {"tokens", workshop_->Path(stage::kTokens)},
                                  {"tensors", eligible_.tensors},
                                  {"groups", kGroups},
                                  {"threads", options_.threads}},
                                 stage::kMeasuring));
    TRY_STATUS(WriteFileAtomically(workshop_->Path(stage::kWorths), worths.at("tensors").dump(1)));
    return {};
  }

  Status TryExchanges() {
    const Json trials = TrialsOf(options_, *chosen_.mix->choices);
    const std::string path = workshop_->Path(stage::kExchanged);
    std::optional<Exchanged> exchanged = KeptExchanges(path, trials);
    if (!exchanged) {
      TRY_STATUS(MakeCarrier());
      Json request = trials;
      request.update({{"source", options_.source},
                      {"carrier", workshop_->Path(stage::kCarrier)},
                      {"moments", workshop_->Path(stage::kMoments)},
                      {"experts", ExpertsPath()},
                      {"tokens", workshop_->Path(stage::kTokens)},
                      {"memory_bytes", options_.memory_bytes},
                      {"threads", options_.threads}});
      TRY(const Json answer, Child("exchange", request, stage::kExchanging));
      TRY(exchanged, ExchangedFromJson(answer));
      TRY_STATUS(KeepExchanges(path, trials, *exchanged));
    }
    return TakeExchanged(options_, source_, *exchanged, chosen_);
  }

  MadeBy Made() const {
    MadeBy made = MadeToMeasure(options_);
    made.source_sha256 = source_hash_;
    made.text = text_;
    made.dataset = moments_ ? moments_->index().dataset : "";
    if (!moments_) return made;
    made.chunks = moments_->index().chunks;
    made.entries = static_cast<uint32_t>(moments_->index().reads.size());
    return made;
  }

  Result<QuantizeReport> Make() {
    if (progress_) progress_("checking the source's hash", 0);
    std::vector<std::string> hashes;
    for (const std::string& path : source_.paths) {
      TRY(const InputFile input, InputFile::Open(path));
      TRY(std::string hash, HashFile(input));
      hashes.push_back(std::move(hash));
    }
    source_hash_ = JoinHashes(hashes);
    FileToMake file;
    file.output = options_.output;
    file.assignment = &chosen_.assignment;
    file.label = chosen_.label;
    if (experts_) file.importance = workshop_->Path(stage::kExperts);
    if (moments_) file.moments = workshop_->Path(stage::kMoments);
    file.made_by = Made();
    file.compensate = options_.compensate;
    file.force = options_.force;
    TRY(const Json answer, Child("quantize", RequestOf(options_, file), stage::kQuantising));
    TRY(QuantizeReport report, ReportMade(source_, options_.output, answer));
    report.notes = chosen_.assignment.notes;
    for (const auto* notes : {&notes_, &chosen_.notes})
      report.notes.insert(report.notes.end(), notes->begin(), notes->end());
    if (moments_) report.importance = moments_->index().dataset;
    report.text = text_;
    report.expected_loss = chosen_.expected_loss;
    report.budget_bytes = chosen_.budget_bytes;
    report.speed = chosen_.speed;
    return report;
  }

  QuantizeOptions options_;
  const QuantizeProgress& progress_;
  GgufFile source_;
  std::string key_;
  Eligible eligible_;
  std::optional<Workshop> workshop_;
  std::string unsupported_;  // why the engine can't evaluate the model; "" where it can
  std::optional<LearningText> text_;
  std::optional<MomentsFile> moments_;
  std::optional<Importance> experts_;  // where the model has any
  ChosenTypes chosen_;
  std::string source_hash_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<QuantizeReport> CraftQuantize(const QuantizeOptions& options,
                                     const QuantizeProgress& progress) {
  return Craft(options, progress).Run();
}

}  // namespace trimma
