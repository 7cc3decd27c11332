#include "quantize/craft.h"

#include <fmt/format.h>
#include <hash/hash.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/model.h"
#include "engine/token_text.h"
#include "gguf/soundness.h"
#include "plan/file_hash.h"
#include "plan/pricing.h"
#include "quantize/allocation/candidates.h"
#include "quantize/allocation/mix.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/moments_file.h"
#include "quantize/made_by.h"
#include "quantize/recipe_file.h"
#include "quantize/workshop.h"

namespace trimma {
namespace {

constexpr int kChunks = 160;
constexpr size_t kGroups = 64;
// Raised when a stage keeps something else: what an older one left is then measured anew.
constexpr int kStages = 2;
constexpr const char* kMoments = "moments.gguf";
constexpr const char* kTokens = "tokens.json";
constexpr const char* kCarrier = "carrier.gguf";
constexpr const char* kWorths = "worths.json";

std::string StampText(const std::string& path) {
  const auto input = InputFile::Open(path);
  if (!input.ok()) return path;
  const FileStamp& s = input->stamp();
  return fmt::format("{} {} {} {} {}", path, s.bytes, s.mtime_ns, s.device, s.inode);
}

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
    TRY_STATUS(CheckOutput());
    TRY_STATUS(FindEligible());
    key_ = Key();
    TRY(Workshop workshop, Workshop::Open(WorkDirectory(), key_));
    workshop_.emplace(std::move(workshop));
    TRY_STATUS(Gather());
    TRY_STATUS(CheckForced());
    Status status = ChooseTypes();
    if (!status.ok() && status.error().code == Code::kNoFit) {
      status.error().hint +=
          fmt::format("; what was measured is kept in {}", SafeText(workshop_->directory(), 300));
    }
    if (!status.ok()) return status.error();
    TRY(QuantizeReport report, Make());
    if (!options_.work_directory) workshop_->Remove();
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  }

 private:
  Status CheckOutput() const {
    for (const std::string& path : source_.paths) {
      if (!SameFile(path, options_.output)) continue;
      return Error{Code::kUsage,
                   fmt::format("the output {} is the input", SafeText(options_.output)),
                   "choose another output name"};
    }
    if (options_.force || access(options_.output.c_str(), F_OK) != 0) return {};
    return Error{Code::kFailure, fmt::format("{} exists already", SafeText(options_.output)),
                 "choose another name, or pass --force"};
  }

  // Of --work one folder for each source and text, so that none pushes another out.
  std::string WorkDirectory() const {
    if (!options_.work_directory) return options_.output + ".trimma-work";
    const std::string hash = hash_sha256_hex(key_.data(), key_.size());
    return fmt::format("{}/trimma-{}", *options_.work_directory, hash.substr(0, 12));
  }

  // Which tensors may get other types; and whether a size can be had at all, before anything is
  // measured.
  Status FindEligible() {
    TRY(const auto types, AskRecipes(source_, {FindFileType("Q8_0")}));
    TRY(forced_, MatchPatterns(options_.forced_types, source_, types[0]));
    std::vector<TensorWorth> imagined;
    for (size_t i = 0; i < source_.tensors.size(); ++i) {
      const TensorInfo& tensor = source_.tensors[i];
      if (!InfoOf(types[0][i]).quantized || !ProbeType(tensor)) continue;
      eligible_.push_back(i);
      TensorWorth worth;
      worth.name = tensor.name;
      worth.types = CandidateTypes(tensor);
      worth.errors.assign(worth.types.size(), 0);
      worth.shares.assign(worth.types.size(), 1);
      imagined.push_back(std::move(worth));
    }
    const bool allocates = options_.size_bytes || options_.max_loss;
    if (allocates && eligible_.empty()) {
      return Error{Code::kUsage, "no tensor of this model can be given fewer bits",
                   "choose an unquantised original"};
    }
    if (!options_.size_bytes) return {};
    TRY(const uint64_t header_bytes, HeaderBytes());
    TRY_STATUS(ChooseMix(source_, imagined,
                         {options_.size_bytes, std::nullopt, options_.compensate, forced_.types},
                         header_bytes));
    return {};
  }

  // Of the output: its keys are known but for the values of a few, whose lengths are.
  Result<uint64_t> HeaderBytes() const {
    MadeBy made;
    made.method = Method();
    made.source_sha256.assign(64, '0');
    made.dataset = options_.calibration_text
                       ? std::filesystem::path(*options_.calibration_text).filename().string()
                       : kGeneratedText;
    const Assignment as_is = {TypesOf(source_), {}, true};
    TRY(const GgufLayout layout, LayOutOutput(source_, as_is, *FindFileType("Q4_K_M"), made));
    return layout.header.size();
  }

  // What the stages depend on: a run that differs in nothing of it may use what is there.
  std::string Key() const {
    Json sources = Json::array();
    for (const std::string& path : source_.paths) sources.push_back(StampText(path));
    return Json{{"version", build_info::kVersion},
                {"stages", kStages},
                {"source", sources},
                {"text", options_.calibration_text ? Json(StampText(*options_.calibration_text))
                                                   : Json(options_.generate_seconds)},
                {"memory", options_.memory_bytes}}
        .dump(1);
  }

  Result<Json> Child(const char* job, const Json& request, const char* stage) const {
    if (Key() != key_) {
      return Error{Code::kInvalid, "the source or the calibration text has changed meanwhile",
                   "run the same command again"};
    }
    return RunChild(job, request, [&](const Json& event) {
      if (progress_) progress_(stage, event.value("progress", 0.0));
    });
  }

  Status Gather() {
    if (!workshop_->Has(kMoments) || !workshop_->Has(kTokens)) {
      TRY_STATUS(Child(
          "moments",
          {{"model", options_.source},
           {"text_file", options_.calibration_text ? Json(*options_.calibration_text) : Json()},
           {"chunks", kChunks},
           {"generate_seconds", options_.generate_seconds},
           {"memory_bytes", options_.memory_bytes},
           {"threads", options_.threads},
           {"moments", workshop_->Path(kMoments)},
           {"tokens", workshop_->Path(kTokens)}},
          "reading the calibration text"));
    }
    TRY(moments_, MomentsFile::Open(workshop_->Path(kMoments)));
    TRY(const std::string tokens, ReadSmallFile(workshop_->Path(kTokens)));
    TRY(const CalibrationText text, CalibrationFromJson(Json::parse(tokens, nullptr, false)));
    if (!text.note.empty()) notes_.push_back(text.note);
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

  Status ChooseTypes() {
    const bool has_goal = options_.recipe != nullptr || options_.size_bytes || options_.max_loss;
    if (options_.recipe_file && !has_goal) {
      TRY(const RecipeFile recipe, ReadRecipe(*options_.recipe_file));
      TRY(assignment_, ApplyRecipe(recipe, source_));
      Force(forced_, source_, assignment_);
      label_ = recipe.label;
      return CheckNeeds();
    }
    if (options_.recipe != nullptr) {
      TRY(const auto types, AskRecipes(source_, {options_.recipe}, forced_.types));
      assignment_ = AssignAround(forced_, source_, *options_.recipe, types[0]);
      label_ = options_.recipe;
      TRY_STATUS(CheckNeeds());
    } else {
      TRY(const std::vector<TensorWorth> worths, Worths());
      TRY(const uint64_t header_bytes, HeaderBytes());
      TRY(ChosenMix mix,
          ChooseMix(source_, worths,
                    {options_.size_bytes, options_.max_loss, options_.compensate, forced_.types},
                    header_bytes));
      if (mix.unmeasured > 0) {
        notes_.push_back(
            fmt::format("the expected loss leaves out {} tensor{}: what the forced type costs was "
                        "not measured",
                        mix.unmeasured, mix.unmeasured == 1 ? "" : "s"));
      }
      mix.assignment.notes = forced_.notes;
      if (worths.size() < eligible_.size()) {
        notes_.push_back(fmt::format("{} tensors stay as they are: the engine has no use for them",
                                     eligible_.size() - worths.size()));
      }
      assignment_ = std::move(mix.assignment);
      label_ = mix.label;
      expected_loss_ = mix.expected_loss;
    }
    if (options_.recipe_file)
      TRY_STATUS(WriteRecipe(*options_.recipe_file, source_, assignment_, *label_));
    return {};
  }

  // ggml makes the smallest types only with importance, which matrices of experts have none of
  // here.
  Status CheckNeeds() const {
    const bool all_need_it = options_.recipe != nullptr && options_.recipe->needs_importance;
    for (size_t i = 0; i < source_.tensors.size(); ++i) {
      const std::string& name = source_.tensors[i].name;
      const TensorType type = assignment_.types[i];
      if (type == source_.tensors[i].type || moments_->InputOf(name)) continue;
      if (!all_need_it && !NeedsImportance(type)) continue;
      return Error{Code::kUsage,
                   fmt::format("{} can't be made: nothing was seen of the inputs of {}",
                               all_need_it ? label_->name : NameOf(type), SafeText(name, 80)),
                   all_need_it ? "choose --mode plain" : "choose a type with more bits for it"};
    }
    return {};
  }

  // Before hours of measuring: forced types are known already.
  Status CheckForced() {
    assignment_.types = TypesOf(source_);
    Force({forced_.types, {}}, source_, assignment_);
    return CheckNeeds();
  }

  Result<std::vector<TensorWorth>> Worths() {
    if (!workshop_->Has(kWorths)) TRY_STATUS(MeasureWorths());
    TRY(const std::string text, ReadSmallFile(workshop_->Path(kWorths)));
    const Json json = Json::parse(text, nullptr, false);
    std::vector<TensorWorth> worths;
    if (!json.is_array())
      return Error{Code::kInvalid, "the measured sensitivities are damaged", "start anew"};
    for (const Json& item : json) {
      TRY(TensorWorth worth, TensorWorthFromJson(item));
      worths.push_back(std::move(worth));
    }
    return worths;
  }

  Status MeasureWorths() {
    Assignment carrier = {TypesOf(source_), {}, true};
    for (const size_t i : eligible_) carrier.types[i] = tensor_type::kQ8_0;
    if (!workshop_->Has(kCarrier)) {
      TRY_STATUS(Child("quantize", Request(workshop_->Path(kCarrier), carrier, "Q8_0"),
                       "making a carrier of 8 bits"));
    }
    TRY(const Json worths, Child("sensitivity",
                                 {{"source", options_.source},
                                  {"carrier", workshop_->Path(kCarrier)},
                                  {"moments", workshop_->Path(kMoments)},
                                  {"tokens", workshop_->Path(kTokens)},
                                  {"tensors", eligible_},
                                  {"groups", kGroups},
                                  {"threads", options_.threads}},
                                 "measuring what each tensor is worth"));
    TRY_STATUS(WriteFileAtomically(workshop_->Path(kWorths), worths.at("tensors").dump(1)));
    unlink(workshop_->Path(kCarrier).c_str());
    return {};
  }

  Json Request(const std::string& output, const Assignment& assignment, const char* recipe) const {
    Json types = Json::array();
    for (const TensorType type : assignment.types) types.push_back(static_cast<uint32_t>(type));
    return {{"source", options_.source},
            {"output", output},
            {"recipe", recipe},
            {"types", types},
            {"importance", Json()},
            {"moments", Json()},
            {"exact", false},
            {"compensate", options_.compensate},
            {"metadata", Json()},
            {"memory_bytes", options_.memory_bytes},
            {"threads", options_.threads},
            {"force", true}};
  }

  std::string Method() const {
    const char* rounding = options_.compensate ? kCompensated : "rounded plainly";
    return options_.recipe != nullptr ? rounding : fmt::format("types allocated, {}", rounding);
  }

  MadeBy Made() const {
    MadeBy made;
    made.method = Method();
    made.dataset = moments_->index().dataset;
    made.chunks = moments_->index().chunks;
    made.entries = static_cast<uint32_t>(moments_->index().reads.size());
    made.source_sha256 = source_hash_;
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
    Json request = Request(options_.output, assignment_, label_->name);
    request["moments"] = workshop_->Path(kMoments);
    request["metadata"] = ToJson(Made());
    request["force"] = options_.force;
    TRY_STATUS(Child("quantize", request, "quantising"));
    TRY(const GgufFile written, ReadGguf(options_.output));
    QuantizeReport report;
    report.output = options_.output;
    report.file_bytes = written.file_bytes;
    report.bits_per_weight = written.bits_per_weight();
    report.notes = assignment_.notes;
    report.notes.insert(report.notes.end(), notes_.begin(), notes_.end());
    report.importance = moments_->index().dataset;
    report.expected_loss = expected_loss_;
    for (size_t i = 0; i < written.tensors.size(); ++i) {
      report.tensors.push_back({written.tensors[i].name, source_.tensors[i].type,
                                written.tensors[i].type, written.tensors[i].bytes});
    }
    return report;
  }

  QuantizeOptions options_;
  const QuantizeProgress& progress_;
  GgufFile source_;
  std::string key_;
  std::vector<size_t> eligible_;  // tensors that may get other types
  ForcedTypes forced_;
  std::optional<Workshop> workshop_;
  std::optional<MomentsFile> moments_;
  Assignment assignment_;
  const FileType* label_ = nullptr;
  std::optional<double> expected_loss_;
  std::string source_hash_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<QuantizeReport> CraftQuantize(const QuantizeOptions& options,
                                     const QuantizeProgress& progress) {
  return Craft(options, progress).Run();
}

}  // namespace trimma
