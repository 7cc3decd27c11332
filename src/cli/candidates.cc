#include "cli/candidates.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "quantize/quantize.h"

namespace trimma {
namespace {

// From gentle to strong; the first entries are tried on any model.
constexpr const char* kLadder[] = {"Q4_K_M", "Q8_0", "Q5_K_M", "Q6_K", "IQ4_XS"};
constexpr uint64_t kSmallParameters = 400'000'000;
constexpr uint64_t kMediumParameters = 2'000'000'000;
constexpr SpeedOptions kCandidateSpeed = {.prompt_tokens = 512, .decode_tokens = 64, .rounds = 6, .budget_seconds = 4, .load_repeats = 2};

bool FitsAt(const Planned& planned, const FileType* recipe, uint32_t context) {
  return std::any_of(planned.plan.cells.begin(), planned.plan.cells.end(), [&](const PlanCell& cell) {
    return cell.fits && cell.type == recipe->name && cell.settings.context >= context;
  });
}

}  // namespace

std::vector<const FileType*> RecipesToTry(const GgufFile& source, const Planned& planned, uint32_t context) {
  const uint64_t parameters = source.parameters();
  const size_t most = parameters <= kSmallParameters ? std::size(kLadder) : parameters <= kMediumParameters ? 3 : 2;
  std::vector<const FileType*> recipes;
  for (const char* name : kLadder) {
    const FileType* recipe = FindFileType(name);
    if (recipes.size() < most && FitsAt(planned, recipe, context)) recipes.push_back(recipe);
  }
  return recipes;
}

Result<std::vector<Candidate>> MakeCandidates(const CandidateOptions& options, Progress& progress) {
  const auto on_progress = [&](const std::string& stage, double share) { progress.Update(stage, share); };
  QuantizeOptions quantize;
  quantize.source = options.source;
  quantize.force = true;
  quantize.calibration_text = options.calibration;
  quantize.calibrate_on_own_text = !options.calibration;
  const std::string importance = options.directory + "/importance.gguf";
  TRY(const std::string dataset, CollectImportance(quantize, importance, on_progress));
  quantize.importance_file = importance;

  std::vector<Candidate> candidates;
  std::vector<Judged> judged;
  for (const FileType* recipe : options.recipes) {
    quantize.recipe = recipe;
    quantize.output = fmt::format("{}/{}.gguf", options.directory, ToLower(recipe->name));
    TRY(const QuantizeReport report, Quantize(quantize, [&](const std::string& stage, double share) {
          progress.Update(fmt::format("{} to {}", stage, recipe->name), share);
        }));
    candidates.push_back({recipe, report.output, report.file_bytes, report.bits_per_weight, {}, {}, report.notes});
    candidates.back().notes.push_back(fmt::format("errors of rounding weighed by importance data, text {}", dataset));
    judged.push_back({report.output, options.settings});
  }
  QualityOptions quality;
  quality.text_file = options.text;
  quality.chunks = options.text ? 32 : 0;
  quality.generate_seconds = 10;
  quality.budget_seconds = 40;
  TRY(const auto qualities, MeasureQuality({options.source, options.settings}, judged, quality,
                                           [&](double share) { progress.Update("measuring quality", share); }));
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].quality = qualities[i];
    TRY(const auto trials, MeasureSpeed(candidates[i].path, {options.settings}, kCandidateSpeed, [&](double share) {
          progress.Update(fmt::format("measuring speed of {}", candidates[i].recipe->name), share);
        }));
    if (trials[0].error) return *trials[0].error;
    candidates[i].speed = trials[0].speed;
  }
  return candidates;
}

std::optional<size_t> ChooseCandidate(const std::vector<Candidate>& candidates, double max_kld) {
  std::optional<size_t> best;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].quality.mean_kld_high > max_kld) continue;
    if (!best || candidates[i].file_bytes < candidates[*best].file_bytes) best = i;
  }
  return best;
}

}  // namespace trimma
