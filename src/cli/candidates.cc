#include "cli/candidates.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/keep_quality.h"
#include "quantize/quantize.h"

namespace trimma {
namespace {

// From gentle to strong; the first entries are tried on any model.
constexpr const char* kLadder[] = {"Q4_K_M", "Q8_0", "Q6_K", "Q5_K_M"};
constexpr uint64_t kSmallParameters = 400'000'000;
constexpr uint64_t kMediumParameters = 2'000'000'000;
constexpr int kTypicalAnswer = 128;
constexpr double kSameSpeed = 0.05;

// Not without the GPUs where they are what is recommended.
bool FitsAt(const Planned& planned, const FileType* recipe, uint32_t context) {
  const Plan& plan = planned.plan;
  const bool use_gpu = !plan.recommended || plan.cells[*plan.recommended].settings.use_gpu;
  return std::any_of(plan.cells.begin(), plan.cells.end(), [&](const PlanCell& cell) {
    return cell.fits && cell.type == recipe->name && cell.settings.context >= context &&
           (cell.settings.use_gpu || !use_gpu);
  });
}

// The files are thrown away but one; what they lose stays known to plans.
Status KeepQualities(const CandidateOptions& options, const Candidates& candidates,
                     const std::vector<Quality>& qualities, Progress& progress) {
  TRY(const GgufFile source, ReadGguf(options.source));
  for (size_t i = 0; i < candidates.made.size(); ++i) {
    TRY(const GgufFile made, ReadGguf(candidates.made[i].path));
    KeepQuality(source, {made, options.settings, true, false}, qualities[i], progress);
  }
  return {};
}

}  // namespace

std::vector<const FileType*> RecipesToTry(const GgufFile& source, const Planned& planned,
                                          uint32_t context) {
  const uint64_t parameters = source.parameters();
  const size_t most = parameters <= kSmallParameters    ? std::size(kLadder)
                      : parameters <= kMediumParameters ? 3
                                                        : 2;
  std::vector<const FileType*> recipes;
  for (const char* name : kLadder) {
    const FileType* recipe = FindFileType(name);
    if (recipes.size() < most && FitsAt(planned, recipe, context)) recipes.push_back(recipe);
  }
  return recipes;
}

Result<Candidates> MakeCandidates(const CandidateOptions& options, Progress& progress) {
  QuantizeOptions quantize;
  quantize.source = options.source;
  quantize.force = true;
  quantize.calibration_text = options.calibration;
  quantize.generate_seconds = options.seconds * 0.2;
  const std::string importance = options.directory + "/importance.gguf";
  TRY(const std::string dataset,
      CollectImportance(quantize, importance, [&](const std::string& stage, double share) {
        progress.Update(stage, share);
      }));
  quantize.importance_file = importance;

  Candidates candidates;
  std::vector<Judged> judged;
  TRY(const GgufFile source, ReadGguf(options.source));
  TRY(const CardPlacing placing, PlacedForMeasuring(source, options.site, options.settings));
  candidates.source_note = placing.note;
  std::vector<SpeedSubject> timed = {{options.source, placing.settings}};
  for (const FileType* recipe : options.recipes) {
    quantize.recipe = recipe;
    quantize.output = fmt::format("{}/{}.gguf", options.directory, ToLower(recipe->name));
    TRY(const QuantizeReport report,
        Quantize(quantize, [&](const std::string& stage, double share) {
          progress.Update(fmt::format("{} to {}", stage, recipe->name), share);
        }));
    candidates.made.push_back(
        {recipe, report.output, report.file_bytes, report.bits_per_weight, {}, {}, report.notes});
    candidates.made.back().notes.push_back(
        fmt::format("rounding errors weighed by importance data (text: {})", dataset));
    TRY(const GgufFile made, ReadGguf(report.output));
    TRY(const CardPlacing its, PlacedForMeasuring(made, options.site, options.settings));
    if (!its.note.empty()) candidates.made.back().notes.push_back(its.note);
    timed.push_back({report.output, its.settings});
    judged.push_back({report.output, timed.back().settings});
  }
  QualityOptions quality;
  quality.text_file = options.text;
  quality.own_text = options.calibration;
  quality.chunks = options.text ? 64 : 0;
  quality.chunk = JudgingChunk(options.trained_context);
  quality.generate_seconds = options.seconds * 0.15;
  quality.budget_seconds = options.seconds * 0.35;
  TRY(const auto qualities,
      MeasureQuality({options.source, ReferenceSettings(timed[0].settings)}, judged, quality,
                     [&](double share) { progress.Update("measuring quality", share); }));
  SpeedOptions speed;
  speed.budget_seconds = options.seconds * 0.3;
  speed.rounds = kSpeedProcesses;
  speed.processes = kSpeedProcesses;
  LoadAsCardsHold(timed, options.site, speed);
  TRY(const auto trials,
      MeasureSpeed(timed, speed, [&](double share) { progress.Update("measuring speed", share); }));
  for (const SpeedTrial& trial : trials) {
    if (trial.error) return *trial.error;
  }
  TRY_STATUS(KeepQualities(options, candidates, qualities, progress));
  candidates.source_speed = trials[0].speed;
  for (size_t i = 0; i < candidates.made.size(); ++i) {
    candidates.made[i].quality = qualities[i];
    candidates.made[i].speed = trials[i + 1].speed;
  }
  return candidates;
}

double TypicalSeconds(const Speed& speed) {
  return MedianSpread(ExchangeSeconds(speed, kTypicalAnswer)).median;
}

std::optional<size_t> ChooseCandidate(const std::vector<Candidate>& candidates, double max_kld) {
  double fastest = 1e300;
  for (const Candidate& c : candidates) {
    if (c.quality.mean_kld_high <= max_kld) fastest = std::min(fastest, TypicalSeconds(c.speed));
  }
  std::optional<size_t> best;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    if (c.quality.mean_kld_high > max_kld || TypicalSeconds(c.speed) > fastest * (1 + kSameSpeed))
      continue;
    if (!best || c.file_bytes < candidates[*best].file_bytes) best = i;
  }
  return best;
}

}  // namespace trimma
